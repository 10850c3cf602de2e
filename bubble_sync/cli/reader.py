"""Read a stack again and again in a thread of its own: what was read last stays, also while the server is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Generic, TypeVar

from bubble_sync.errors import SyncError, Unreachable
from bubble_sync.formatting import format_age

_T = TypeVar("_T")

_PATIENCE_SECONDS = 45.0
"""Seconds of silence before a new connection; longer than any connection or statement timeout."""
_SHORT_SILENCE_SECONDS = 5


class Reader(threading.Thread, Generic[_T]):
    """A thread with one connection; its last snapshot stays until the next one."""

    def __init__(
        self,
        look: Callable[[], Iterator[_T]],
        close: Callable[[], None],
        every: float,
        wanted: threading.Event | None = None,
    ) -> None:
        """Set the question.

        Args:
            look: Yields one snapshot or, when a part takes longer, several.
            close: Closes the connection.
            every: Seconds between two readings.
            wanted: Without it the thread reads always; with it, when the event is set.
        """
        # A daemon: a thread that waits for a server cannot be stopped.
        super().__init__(daemon=True)
        self._look, self._close, self._every, self._wanted = look, close, every, wanted
        self._left = threading.Event()
        self.looked = threading.Event()
        self.reading = threading.Lock()
        """Held while the thread reads."""
        self.latest: _T | None = None
        self.read_at = datetime.now(UTC)
        self._answered_at = time.monotonic()
        self._began_at: float | None = time.monotonic()
        self.trouble: SyncError | None = None
        self.trouble_since: datetime | None = None
        self.bug: BaseException | None = None
        """The error that ended the thread."""

    def run(self) -> None:
        """Read snapshots until stopped."""
        with ExitStack() as ending:
            ending.push(self._end)
            while True:
                self._began_at = time.monotonic()
                try:
                    with self.reading:
                        self._ask()
                    self.note(None)
                except SyncError as problem:
                    self.note(problem)
                self._began_at = None
                self.looked.set()
                if self._left.wait(self._every):
                    break
                if self._wanted is not None:
                    self._wanted.wait()
                    self._wanted.clear()
            self._close()

    def note(self, trouble: SyncError | None) -> None:
        """Note why there is no newer snapshot, or that all is well."""
        self.trouble_since = (self.trouble_since or datetime.now(UTC)) if trouble else None
        self.trouble = trouble

    def renewed(self) -> Reader[_T]:
        """Return this reader or, when its server stopped answering, one with its snapshot and a new connection."""
        if self.silent_seconds < _PATIENCE_SECONDS:
            return self
        other = Reader(self._look, self._close, self._every, self._wanted)
        other.take_over(self)
        other.start()
        return other

    def take_over(self, other: Reader[_T]) -> None:
        """Take over the snapshot of another reader and stop that reader."""
        self.latest, self.read_at, self._answered_at = other.latest, other.read_at, other._answered_at
        self.trouble, self.trouble_since = other.trouble, other.trouble_since or other.read_at
        other._left.set()

    def require(self) -> None:
        """Raise the error that ended the thread or prevented the first snapshot."""
        if self.bug is not None:
            raise self.bug
        if self.latest is None and self.trouble is not None:
            raise self.trouble

    @property
    def age_seconds(self) -> float:
        """Return the age of the last snapshot."""
        return time.monotonic() - self._answered_at

    @property
    def silent_seconds(self) -> float:
        """Return for how long the current reading has had no answer."""
        began = self._began_at
        return 0.0 if began is None else time.monotonic() - began

    @property
    def trouble_in_words(self) -> str:
        """Say why there is no newer snapshot; "" while all is well."""
        if self.trouble is not None:
            what = "lost" if isinstance(self.trouble, Unreachable) else "refused"
            text, _, _ = str(self.trouble).partition(". ")
            return f"{what}, trying again: {text.rstrip('.')}"
        return f"no answer for {format_age(self.age_seconds)}" if self.outage_since else ""

    @property
    def outage_since(self) -> datetime | None:
        """Return when the database was last seen to work, or first seen not to work; None while it works."""
        if self.trouble_since is None and self.silent_seconds > _SHORT_SILENCE_SECONDS:
            return self.read_at
        return self.trouble_since

    def _end(self, _: type[BaseException] | None, problem: BaseException | None, __: TracebackType | None) -> bool:
        self.bug = problem
        self.looked.set()
        return True

    def _ask(self) -> None:
        for snapshot in self._look():
            self.latest = snapshot
            self._answered_at, self.read_at = time.monotonic(), datetime.now(UTC)
