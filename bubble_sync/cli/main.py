"""The entry point of the command line: errors, Ctrl-C and closed pipes become exit codes."""

from __future__ import annotations

import codecs
import io
import os
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from bubble_sync.cli.exit_codes import INTERRUPTED, YES, failure_of
from bubble_sync.errors import ConfigurationError
from bubble_sync.printable import json_text, printable_lines, unencodable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ESCAPED = "bubble_sync.escaped"


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
            sys.stdout.write(f"{json_text({'error': failure._asdict()})}\n")
        sys.stderr.write(f"error: {printable_lines(failure.message)}\n")
        raise SystemExit(failure.exit_code) from None


class _Descriptor(io.RawIOBase):
    """A stream that discards output after the reader has gone."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name, self._gone = descriptor, name, False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: ReadableBuffer, /) -> int:
        if self._gone:
            return len(memoryview(data))
        try:
            return os.write(self._descriptor, data)
        except BrokenPipeError:
            self._gone = True
            return len(memoryview(data))
        except OSError as problem:
            # Report once: the buffer would raise the same error at exit.
            self._gone = True
            raise ConfigurationError(
                f"{self._name} cannot be written ({problem.strerror}): make room, or send it elsewhere"
            ) from None


def guard_streams() -> None:
    """Replace both standard streams; discard the output of a stream that is closed from the start.

    What the encoding of a stream lacks is escaped.
    """
    codecs.register_error(_ESCAPED, unencodable)
    sys.stdout = _guarded(sys.stdout, "standard output")
    sys.stderr = _guarded(sys.stderr, "standard error")


def _guarded(stream: TextIO | None, name: str) -> TextIO:
    if stream is None:
        return io.StringIO()
    raw = _Descriptor(stream.fileno(), name)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, _ESCAPED, line_buffering=raw.isatty() or name == "standard error"
    )


def run() -> None:
    """Run the command line."""
    outcome = Outcome(as_json="--json" in sys.argv)
    code = YES
    with outcome:
        guard_streams()
        from typer.main import get_command

        from bubble_sync.cli.app import app

        # Not app(): typer replaces sys.excepthook and prints frames of its own.
        code = get_command(app).main(obj=outcome, standalone_mode=False) or YES
        # Flush here: a failed write at the interpreter's exit has no exit code of ours.
        sys.stdout.flush()
    raise SystemExit(code)
