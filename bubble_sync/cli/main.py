"""The entry point of the command line: errors, Ctrl-C and closed pipes become exit codes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import TracebackType

from bubble_sync.cli.exit_codes import INTERRUPTED, YES, failure_of


@dataclass
class Outcome:
    """Turns an exception of a command into one line on stderr and an exit code."""

    debug: bool = False
    as_json: bool = False

    def __enter__(self) -> Outcome:
        """Enter the guard."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, _: TracebackType | None
    ) -> None:
        """Exit with the code of the problem; pass SystemExit on."""
        # typer's own prompt turns Ctrl-C into Abort.
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


def run() -> None:
    """Run the command line."""
    outcome = Outcome(as_json="--json" in sys.argv)
    code = YES
    with outcome:
        from bubble_sync.cli.streams import guard_streams

        guard_streams()
        from typer.main import get_command

        from bubble_sync.cli.app import app

        # Not app(): typer replaces sys.excepthook and prints frames of its own.
        code = get_command(app).main(obj=outcome, standalone_mode=False) or YES
        # Flush here: a failed write at the interpreter's exit has no exit code of ours.
        if sys.stdout is not None:
            sys.stdout.flush()
    raise SystemExit(code)
