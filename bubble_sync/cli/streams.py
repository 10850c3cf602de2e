"""Standard output and error that discard what follows a closed pipe: the command keeps its exit code."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


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
    """Replace both standard streams; discard the output of a stream that is closed from the start."""
    sys.stdout = _guarded(sys.stdout, "standard output")
    sys.stderr = _guarded(sys.stderr, "standard error") or io.StringIO()


def _guarded(stream: TextIO, name: str) -> TextIO:
    if stream is None:
        return stream
    raw = _Descriptor(stream.fileno(), name)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=raw.isatty() or name == "standard error"
    )
