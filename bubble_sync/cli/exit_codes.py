"""Exit codes, and the failures that end a command early.

0 yes, 1 no or refused, 2 usage, configuration or this machine, 3 unreachable, 4 a bug, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from bubble_sync.errors import ConfigurationError, NotFound, SyncError, Unreachable

YES, NO, MISUSED, UNREACHABLE, OUR_BUG, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143


def code_of(answer: bool) -> int:
    """Return the exit code of a yes or a no."""
    return YES if answer else NO


def worst(codes: Iterable[int]) -> int:
    """Return the worst code of several stacks: unreadable ones first."""
    # Report a no despite another stack's configuration error: a stray file must not hide it.
    found = set(codes)
    return next((code for code in (UNREACHABLE, NO, MISUSED) if code in found), YES)


class CommandFailure(NamedTuple):
    """A failure that ends a command; with `--json` standard output holds this document."""

    exit_code: int
    kind: str
    message: str


def failure_of(problem: Exception) -> CommandFailure:
    """Return the failure that the operator sees for a problem."""
    if isinstance(problem, SyncError):
        # Imported here to keep the entry point fast: Ctrl-C may come at once.
        from bubble_sync.cli.options import complete_for_stack

        return refusal_of(problem, complete_for_stack)
    if hasattr(problem, "format_message"):
        return CommandFailure(MISUSED, "usage", _usage(problem))
    if isinstance(problem, OSError) and problem.strerror:
        return CommandFailure(MISUSED, "configuration", _of_the_machine(problem, problem.strerror))
    # Print only the type: the text of an unexpected error may hold a secret.
    bug = f"a bug of bubble-sync ({type(problem).__name__}): run again with --debug and report it"
    return CommandFailure(OUR_BUG, "bug", bug)


def refusal_of(problem: SyncError, complete: Callable[[str], str]) -> CommandFailure:
    """Return the failure for an error of ours; `complete` completes the commands of its text."""
    return CommandFailure(*_code(problem), complete(str(problem)))


def _of_the_machine(problem: OSError, reason: str) -> str:
    """Return what the system refused, and the next step."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({reason}): make room, then run again"
    if problem.filename is not None:
        return f"{os.fsdecode(problem.filename)} cannot be used ({reason}): correct its path or its permissions"
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the current folder was removed: go to another folder, then run again"
    return f"this machine refuses it ({reason}): correct that, then run again; --debug shows the place"


def _usage(problem: Exception) -> str:
    """Return typer's usage error as one line."""
    message: str = problem.format_message()  # type: ignore[attr-defined]
    text = " ".join(message.split()).rstrip(".").replace("(Possible options: ", "(did you mean ")
    context = getattr(problem, "ctx", None)
    listed = ", ".join(getattr(getattr(context, "command", None), "commands", ()))
    choice = f"; choose one of {listed}" if text.startswith("Missing command") else ""
    end = "" if text.endswith("?") else "."
    where = f"{end} See `{context.command_path} --help`" if context is not None else ""
    return f"{text[:1].lower()}{text[1:]}{choice}{where}"


def _code(problem: SyncError) -> tuple[int, str]:
    if isinstance(problem, ConfigurationError):
        return MISUSED, "configuration"
    if isinstance(problem, Unreachable):
        return UNREACHABLE, "unreachable"
    return NO, "not found" if isinstance(problem, NotFound) else "refused"
