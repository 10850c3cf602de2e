"""Looking again and again, beside the thread that draws: a server that does not answer freezes no screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from bubble_sync.errors import SyncError

if TYPE_CHECKING:
    from bubble_sync.health.doctor import Diagnosis
    from bubble_sync.health.watch import Latest

EXAMINE_EVERY_SECONDS = 30.0
"""The doctor asks far more than a look."""


class Reader(threading.Thread):
    """One thread with one connection; what it saw last stays until it sees more."""

    def __init__(
        self, look: Callable[[], Latest], examine: Callable[[], Diagnosis], close: Callable[[], None], every: float
    ) -> None:
        """Take the questions, and how many seconds to rest between two looks."""
        # A daemon, since nothing else ends one that waits for a server.
        super().__init__(daemon=True)
        self._look, self._examine, self._close, self._every = look, examine, close, every
        self._examined_at = -EXAMINE_EVERY_SECONDS
        self._left = threading.Event()
        self.looked = threading.Event()
        self.latest: Latest | None = None
        self.diagnosis: Diagnosis | None = None
        self.answered_at = self.began_at = time.monotonic()
        self.trouble: SyncError | None = None
        """Why the last look failed."""
        self.bug: BaseException | None = None
        """What ended the thread."""

    def run(self) -> None:
        """Look until told to leave."""
        with _Kept(self):
            while True:
                self.began_at = time.monotonic()
                try:
                    self._ask()
                    self.trouble = None
                except SyncError as problem:
                    self.trouble = problem
                self.looked.set()
                if self._left.wait(self._every):
                    break
            self._close()

    def take_over(self, other: Reader) -> None:
        """Know what another one saw, and tell that one to end when it can."""
        self.latest, self.diagnosis, self.answered_at = other.latest, other.diagnosis, other.answered_at
        other._left.set()

    def require(self) -> None:
        """Raise what ended it, or what kept it from seeing anything at all."""
        if self.bug is not None:
            raise self.bug
        if self.latest is None and self.trouble is not None:
            raise self.trouble

    def _ask(self) -> None:
        self.latest = self._look()
        self.answered_at = time.monotonic()
        if self.answered_at - self._examined_at >= EXAMINE_EVERY_SECONDS:
            self.diagnosis = self._examine()
            self._examined_at = time.monotonic()


class _Kept:
    """Keeps what a thread would print."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        """Watch the thread."""

    def __exit__(self, _: type[BaseException] | None, problem: BaseException | None, __: TracebackType | None) -> bool:
        self._reader.bug = problem
        self._reader.looked.set()
        return True
