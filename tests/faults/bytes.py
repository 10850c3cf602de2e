"""Text of others at its worst, and judges of what reaches a terminal, a log, a comment, a page and a scraper.

Each judge knows its medium and nothing of the product: no judge calls the code that cleans.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from html.parser import HTMLParser
from typing import Any, Literal

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bubble_sync.records.verdicts import VERDICTS
from tests.fixtures.specs import jwt

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECRETS = (jwt(), "sb_secret_0123456789abcdef", "ada.lovelace@example.com")
"""What no output may hold, in the middle of any text."""
ACTING = (
    # Screen, window title, clipboard, hidden text; one-byte forms; order of characters; overwriting.
    "\x1b[2J", "\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x1b[8m", "\x9b31m", "\x9d0;owned\x9c", "\u202eevil",
    "\u2066", "\u200b", "\ufeff", "\u2028", "\x85", "\r", "\r\n", "\x08\x08", "\x00", "\x7f", "\x0b", "\x0c",
    "\ud800", "\udcff", "\U000e0001",
    # Commands to a runner.
    "\n::set-output name=a::b", "\n  ::add-mask::e", "\n\N{NO-BREAK SPACE}::stop-commands::x", "##[error]owned",
    "##vso[task.setvariable variable=a]b", "\n::error file=a::b",
    # Markup.
    "<!channel>", "<https://example.com|here>", "```", "\n```\n", "~~~", "\n    ", "@org/team", "#1", "GH-1", "!12",
    "![x](https://example.com/x.png)", "[x](javascript:alert(1))", "www.example.com", "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>", "</details>", "</summary>", "<!--", "-->", "|", "\\", '"', "'", "`", "&lt;", "{{ 7 }}",
    "[red]", "[/]", ":smile:", "pulumi up", "`bubble-sync doctor`", "%s", "{}", "$1", " " * 50,
)  # fmt: skip
foreign = st.lists(st.sampled_from(ACTING) | st.text(max_size=8), max_size=5).map("".join)
"""Any text that a name, a command, a message or an answer may be."""
storable = foreign.map(lambda text: re.sub(r"[\x00\ud800-\udfff]", "", text))
"""Such a text without what PostgreSQL does not store."""


def examples(number: int, *, fixed: bool) -> settings:
    """Return the settings of a property: a fixed sample, or many from a seed that pytest prints."""
    phases = (Phase.explicit, Phase.generate, *(() if fixed else (Phase.shrink,)))
    return settings(
        max_examples=number, derandomize=fixed, database=None, deadline=None, phases=phases,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


SEED = int(os.environ.get("BYTES_SEED", "18"))


COLUMNS: dict[str, Any] = {
    "status": str, "operation": str, "count": int, "oldest_item": datetime, "oldest": datetime, "newest": datetime,
    "created": datetime, "status_code": int | None, "error_msg": str | None, "timed_out": bool | None,
    "content": str, "function": str, "verdict": str, "requests": int, "error": str, "good": bool,
}  # fmt: skip
"""Columns of the rows that answers hold as they were read."""


def anything(kind: Any, text: st.SearchStrategy[str] = foreign) -> st.SearchStrategy[Any]:
    """Return values of a type: each text in a dataclass, however deep, is of others."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is str:
        return text
    if kind is datetime:
        return st.just(NOW)
    if kind in (int, float, bool):
        return st.booleans() if kind is bool else st.integers(1, 9).map(kind)
    if kind is type(None) or origin is Literal:
        return st.sampled_from(arguments or (None,))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return _compound(kind, text)


def _compound(kind: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {one.name: anything(hints[one.name], text) for one in dataclasses.fields(kind) if one.init}
        return st.builds(kind, **fields)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([anything(one, text) for one in arguments])
    if origin is dict:
        return st.fixed_dictionaries({name: anything(one, text) for name, one in COLUMNS.items()})
    if origin is tuple or (origin is not None and issubclass(origin, Sequence)):
        return st.lists(anything(arguments[0], text), min_size=1, max_size=2).map(tuple)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(anything(arguments[0], text), anything(arguments[1], text), max_size=2)
    return text


def plain(value: Any) -> Any:
    """Return the value with a word for each text that is not empty, but for a verdict, which a page draws."""
    if isinstance(value, Enum) or value is None or value in VERDICTS:
        return value
    if isinstance(value, str):
        return "word" if value else ""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # What a Literal or a class gives is no text of others.
        hints = typing.get_type_hints(type(value))
        found = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        fixed = {name: one if typing.get_origin(hints[name]) is Literal else plain(one) for name, one in found.items()}
        return dataclasses.replace(value, **fixed)
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return value


def acting_characters(shown: str) -> set[str]:
    """Return the characters of a text that a terminal obeys or that hide what it shows."""
    return {
        one
        for one in shown
        if one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    }


def runner_commands(log: str) -> list[str]:
    """Return the lines of a log that a runner of GitHub or Azure obeys, as their own code reads lines."""
    lines = re.split(r"\r\n|\r|\n", log)
    return [
        line
        for line in lines
        if ((text := line.lstrip()).startswith("::") and "::" in text[2:]) or re.search(r"##\w*\[", line)
    ]


def judge_log(shown: str) -> None:
    """Fail for a text on a terminal or in a log that acts."""
    acting = {one: shown[max(0, shown.index(one) - 40) :][:80] for one in acting_characters(shown)}
    assert not acting, repr(acting)
    assert not runner_commands(shown)


def judge_secrets(shown: str, secrets: Collection[str] = SECRETS) -> None:
    assert not [one for one in secrets if one in shown]


class Outline(HTMLParser):
    """The elements of a page, and its texts outside of code."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.texts: list[str] = []
        self._code = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        self._code += tag in ("code", "pre")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre")

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.texts.append(data)


OURS_IN_COMMENTS = {
    "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary", "pre", "code",
}  # fmt: skip
LINKED = re.compile(r"(?<!\w)(@[\w-]|#\d|GH-\d|!\d)|://|(?<!\w)www\.", re.IGNORECASE)


def judge_markdown(comment: str) -> None:
    """Fail for a comment with an element that is not ours, a link, an image or a mention."""
    judge_log(comment)
    page = Outline(MarkdownIt("commonmark").enable("table").enable("strikethrough").render(comment))
    assert {tag for tag, _ in page.elements} <= OURS_IN_COMMENTS
    assert {name for _, attributes in page.elements for name, _ in attributes} <= {"class"}
    linked = [text for text in page.texts if LINKED.search(text)]
    assert not linked
