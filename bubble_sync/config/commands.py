"""Commands in texts for people, completed so that a copied one acts on the stack that the text is about.

Remedies say `bubble-sync diff` or `pulumi up`: whoever shows them knows the stack, and completes them here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

OURS = (
    "config", "diff", "doctor", "drift", "failures", "key probe", "key rotate", "key status", "metrics", "pause",
    "release-stalled", "report", "resume", "retry", "run-now", "runs", "status", "trace", "verify", "watch",
)  # fmt: skip
"""Every command that takes `--stack`."""
_PULUMI = ("cancel", "config", "destroy", "preview", "refresh", "up")
_COMMAND = re.compile(
    rf"\b(?:(?P<ours>bubble-sync (?:{'|'.join(OURS)}))|pulumi (?:config (?:set|rm|get)|{'|'.join(_PULUMI)}))"
    # No longer word, no title, none of which a sentence tells what it did, and none that names its stack already.
    r"(?![\w*'-]|` (?:failed|succeeded|would|connects|revokes))(?!(?:(?!`|\n|&&|[;.,] ).)*--stack)"
)


def completed(text: str, options: Sequence[str], ours: Sequence[str] = ()) -> str:
    """Return the text with the stack's options behind each command; `ours` are those for our own commands."""
    for_pulumi, for_us = shlex.join(options), shlex.join(ours or options)
    return _COMMAND.sub(lambda found: f"{found[0]} {for_us if found['ours'] else for_pulumi}", text)


def in_all(value: object, change: Callable[[str], str]) -> object:
    """Return a JSON value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: in_all(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [in_all(one, change) for one in value]
    return value
