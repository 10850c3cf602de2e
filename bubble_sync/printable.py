r"""Clean text of others for a terminal, a log and JSON: no character in it acts, and each stays readable.

Names, commands, error messages and answers may hold anything. A character that a terminal could obey is written as
Python writes it, such as `\x1b`: nothing disappears, so two texts that differ still look different.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

_RUNNER_COMMAND = re.compile(r"^(?P<indent>[^\S\n]*):(?=:.*::)|#(?=#\w*\[)", re.MULTILINE)
"""What a runner of workflows obeys in a log: `::add-mask::` of GitHub, `##[group]` and `##vso[...]` of Azure."""


def printable(text: str) -> str:
    """Return a text on one line, without a command to a runner of workflows."""
    return _RUNNER_COMMAND.sub(_broken, text if text.isprintable() else "".join(map(_shown, text)))


def printable_lines(text: str) -> str:
    """Return a text with its line breaks and tabs, without commands to a runner of workflows."""
    if not text.isprintable():
        text = "".join(one if one in "\n\t" else _shown(one) for one in text)
    return _RUNNER_COMMAND.sub(_broken, text)


def json_text(document: object, default: Callable[[object], object] | None = None) -> str:
    """Return a document as JSON, which reads back as the same document."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=default)
    text = "".join(one if one == "\n" or one.isprintable() else json.dumps(one)[1:-1] for one in text)
    return _RUNNER_COMMAND.sub(r"\\u0023", text)


def unencodable(problem: UnicodeError) -> tuple[str, int]:
    """Escape what the encoding of a stream lacks, also validly in JSON: an error handler of `codecs`."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    return json.dumps(problem.object[problem.start : problem.end])[1:-1], problem.end


def _broken(found: re.Match[str]) -> str:
    return "#\\" if found[0] == "#" else f"{found['indent']}\\:"


def _shown(one: str) -> str:
    # A space of another width acts nowhere.
    return one if one.isprintable() or unicodedata.category(one) == "Zs" else ascii(one)[1:-1]
