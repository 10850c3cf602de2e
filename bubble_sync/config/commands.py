"""Complete commands in messages with the options of the stack in question.

Remedies name `bubble-sync diff` or `pulumi up`; the caller, which knows the stack, completes them here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

OURS = (
    "ci apply", "ci plan", "ci preview", "config", "diff", "discard", "doctor", "drift", "failures", "key probe",
    "key rotate", "key set-function", "key status", "metrics", "pause", "release-stalled", "report", "requeue",
    "resume", "retry", "run-now", "runs", "serve", "status", "trace", "verify", "watch",
)  # fmt: skip
"""Every command that takes `--stack`."""
READING = ("doctor", "failures", "report", "runs", "serve", "status", "trace", "verify", "watch")
"""Every command that takes `--database-url-env`."""
_PULUMI = ("cancel", "config", "destroy", "preview", "refresh", "up")
_COMMAND = re.compile(
    rf"\b(?:(?P<ours>bubble-sync (?:(?P<reading>{'|'.join(READING)})|{'|'.join(OURS)}))"
    rf"|pulumi (?:config (?:set|rm|get)|{'|'.join(_PULUMI)}))"
    # Skip longer words, titles, reports of what a command did, and commands that name a stack already.
    # No farther than a line of options: a text of others may hold nothing but commands.
    r"(?![\w*'-]|` (?:failed|succeeded|would|connects|revokes))"
    r"(?!(?:(?!`|\n|&&|[;.,] ).){0,300}--(?:stack|database-url-env))"
)

_VALUE = r"(?:'[^'\n]*'|[^\s`;,]*[^\s`;,.:)])"
_OPTIONS = rf"(?: --(?:stack|config-file|database-url-env|job|since|until|limit) {_VALUE}| --[a-z][a-z-]*)*"
_LINE = (
    rf"(?:bubble-sync (?:{'|'.join(OURS)})(?![\w'-]){_OPTIONS}"
    rf"|pulumi (?:config (?:set|rm|get)|{'|'.join(_PULUMI)})(?![\w'-]){_OPTIONS}"
    r"(?: bubble-sync:[\w.]*\w(?: (?:true|false|\d+))?)?)"
)
_SETTING = r"(?:\. \S+ && )?"
"""Sources the environment of a platform."""
COMMAND_LINE = re.compile(
    rf"`(?P<quoted>{_SETTING}(?:bubble-sync|pulumi|supabase) [^`\n]+)`"
    rf"|(?P<bare>(?<![\w-]){_SETTING}{_LINE}(?: && {_LINE})*)"
)
"""A whole command in a completed remedy: quoted, or bare in a sentence."""


def complete_commands(
    text: str, options: Sequence[str], ours: Sequence[str] = (), reading: Sequence[str] = (), before_pulumi: str = ""
) -> str:
    """Return the text with `options` after each Pulumi command and `ours` after each of our commands.

    `reading`, if given, goes after our commands that take a database URL alone; `before_pulumi`, once, before the first
    Pulumi command.
    """
    preparing = iter((before_pulumi,))

    def completed(found: re.Match[str]) -> str:
        if found["ours"]:
            return f"{found[0]} {shlex.join(reading if reading and found['reading'] else ours or options)}"
        return f"{next(preparing, '')}{found[0]} {shlex.join(_accepted(found[0], options))}"

    return _COMMAND.sub(completed, text)


def needs_project(text: str) -> bool:
    """Return whether a text names a command that does not take a database URL alone."""
    return any(not found["reading"] for found in _COMMAND.finditer(text))


def _accepted(command: str, options: Sequence[str]) -> Sequence[str]:
    """Return the options that a Pulumi command has: `pulumi cancel` reads no configuration file."""
    if command != "pulumi cancel" or "--config-file" not in options:
        return options
    at = options.index("--config-file")
    return [*options[:at], *options[at + 2 :]]


def in_all(value: object, change: Callable[[str], str]) -> object:
    """Return a JSON value with `change` applied to every text."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: in_all(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [in_all(one, change) for one in value]
    return value
