"""The entry of the command line: what an error, a Ctrl-C and a closed pipe become.

Exit codes: 0 yes, 1 no or refused, 2 usage, configuration or this machine, 3 unreachable, 4 a bug, 130 Ctrl-C.
"""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

from bubble_sync.errors import ConfigurationError, NotFound, SyncError, Unreachable

REFUSED, MISUSED, UNREACHABLE, OUR_BUG, INTERRUPTED = 1, 2, 3, 4, 130


class Failure(NamedTuple):
    """What ends a command before it has its answer; with `--json` the document on standard output holds it."""

    exit_code: int
    kind: str
    message: str


@dataclass
class Outcome:
    """Turns what a command raises into one line on stderr and an exit code."""

    debug: bool = False
    as_json: bool = False

    def __enter__(self) -> Outcome:
        """Watch a command."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, _: TracebackType | None
    ) -> None:
        """Exit with the code of the problem; an exit stays what it is."""
        # typer's own question makes Abort of a Ctrl-C.
        if isinstance(problem, KeyboardInterrupt) or type(problem).__name__ == "Abort":
            sys.stderr.write("\n")
            raise SystemExit(INTERRUPTED) from None
        if not isinstance(problem, Exception) or self.debug:
            return
        failure = failure_of(problem)
        if self.as_json:
            sys.stdout.write(f"{json.dumps({'error': failure._asdict()}, indent=2, ensure_ascii=False)}\n")
        sys.stderr.write(f"error: {failure.message}\n")
        raise SystemExit(failure.exit_code) from None


def failure_of(problem: Exception) -> Failure:
    """Return what a problem is to the operator."""
    if isinstance(problem, SyncError):
        # Here, so that a Ctrl-C finds this module whole before any other.
        from bubble_sync.cli.arguments import completed

        return Failure(*_code(problem), completed(str(problem)))
    if hasattr(problem, "format_message"):
        return Failure(MISUSED, "usage", _usage(problem))
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(MISUSED, "configuration", f"the disk is full ({problem.strerror}): make room, then run again")
    # The text of an unforeseen error may hold anything, a secret too.
    bug = f"a bug of bubble-sync ({type(problem).__name__}): run again with --debug and report it"
    return Failure(OUR_BUG, "bug", bug)


def _usage(problem: Exception) -> str:
    """Say in one line what typer finds wrong with the command line."""
    message: str = problem.format_message()  # type: ignore[attr-defined]
    said = " ".join(message.split()).rstrip(".").replace("(Possible options: ", "(did you mean ")
    context = getattr(problem, "ctx", None)
    listed = ", ".join(getattr(getattr(context, "command", None), "commands", ()))
    choice = f"; choose one of {listed}" if said.startswith("Missing command") else ""
    end = "" if said.endswith("?") else "."
    where = f"{end} See `{context.command_path} --help`" if context is not None else ""
    return f"{said[:1].lower()}{said[1:]}{choice}{where}"


def _code(problem: SyncError) -> tuple[int, str]:
    if isinstance(problem, ConfigurationError):
        return MISUSED, "configuration"
    if isinstance(problem, Unreachable):
        return UNREACHABLE, "unreachable"
    return REFUSED, "not found" if isinstance(problem, NotFound) else "refused"


def run() -> None:
    """Run the command line."""
    outcome = Outcome(as_json="--json" in sys.argv)
    code = 0
    with outcome:
        from bubble_sync.cli.streams import guard_streams

        guard_streams()
        from typer.main import get_command

        from bubble_sync.cli.app import app

        # Not app(): that replaces sys.excepthook and prints frames of its own.
        code = get_command(app).main(obj=outcome, standalone_mode=False) or 0
        # What standard output cannot take is told like any other error, and not at Python's own end.
        if sys.stdout is not None:
            sys.stdout.flush()
    raise SystemExit(code)
