"""`bubble-sync watch`: a live screen of one stack."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import TERMINATED
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import ConfigFile, DatabaseUrlEnv, StackName, duration
from bubble_sync.cli.output import StackContext, screen
from bubble_sync.errors import ConfigurationError, SyncError, Unreachable
from bubble_sync.formatting import format_age

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.doctor import Diagnosis
    from bubble_sync.health.status import WatchSnapshot

EXAMINE_EVERY_SECONDS = 30.0
"""Seconds between two runs of the doctor, whose checks cost more than a status."""

_DRAW_EVERY_SECONDS = 1.0
_PATIENCE_SECONDS = 45.0
"""Seconds of silence before a new connection; longer than any connection or statement timeout."""


class Reader(threading.Thread):
    """A thread with one connection; its last snapshot stays until the next one."""

    def __init__(
        self,
        look: Callable[[], WatchSnapshot],
        examine: Callable[[], Diagnosis],
        close: Callable[[], None],
        every: float,
    ) -> None:
        """Set the questions and the seconds between two snapshots."""
        # A daemon: a thread that waits for a server cannot be stopped.
        super().__init__(daemon=True)
        self._look, self._examine, self._close, self._every = look, examine, close, every
        self._examined_at = -EXAMINE_EVERY_SECONDS
        self._left = threading.Event()
        self.looked = threading.Event()
        self.latest: WatchSnapshot | None = None
        self.diagnosis: Diagnosis | None = None
        self.answered_at = self.began_at = time.monotonic()
        self.trouble: SyncError | None = None
        self.bug: BaseException | None = None
        """The error that ended the thread."""

    def run(self) -> None:
        """Read snapshots until stopped."""
        with ExitStack() as ending:
            ending.push(self._end)
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
        """Take over the snapshot of another reader and stop that reader."""
        self.latest, self.diagnosis, self.answered_at = other.latest, other.diagnosis, other.answered_at
        other._left.set()

    def require(self) -> None:
        """Raise the error that ended the thread or prevented the first snapshot."""
        if self.bug is not None:
            raise self.bug
        if self.latest is None and self.trouble is not None:
            raise self.trouble

    def _end(self, _: type[BaseException] | None, problem: BaseException | None, __: TracebackType | None) -> bool:
        self.bug = problem
        self.looked.set()
        return True

    def _ask(self) -> None:
        self.latest = self._look()
        self.answered_at = time.monotonic()
        if self.answered_at - self._examined_at >= EXAMINE_EVERY_SECONDS:
            self.diagnosis = self._examine()
            self._examined_at = time.monotonic()


Every = Annotated[str, typer.Option("--every", metavar="TIME", help="Time between two updates: 2s, 1m; at most 1h.")]


def watch(
    every: Every = "2s",
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
) -> None:
    """Show queue, jobs, findings and requests on a live screen; Ctrl-C exits with code 0."""
    seconds = duration("--every", every, "1s", "1h").total_seconds()
    console = screen()
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        raise ConfigurationError(
            "watch needs a terminal as standard output: use `bubble-sync status` (`--json` for a program)"
        )
    # Block signals before the reader starts: no other thread may take the ones that _wait expects.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
    # Restore the terminal on SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        with open_either(stack, config_file, database_url_env) as context:
            _follow(context, seconds, console)
    except KeyboardInterrupt:
        pass


def _reader(context: StackContext, every: float, before: Reader | None = None) -> Reader:
    from bubble_sync.health.doctor import doctor
    from bubble_sync.health.status import watch_snapshot

    database = context.database
    reader = Reader(
        lambda: watch_snapshot(database, context.settings, context.name),
        lambda: doctor(database, context.settings, context.name),
        database.close,
        every,
    )
    if before is not None:
        reader.take_over(before)
    reader.start()
    return reader


def _follow(context: StackContext, every: float, console: Console) -> None:
    from rich.live import Live

    from bubble_sync.cli.render.watch_screen import drawn

    reader = _reader(context, every)
    reader.looked.wait()
    reader.require()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            reader.require()
            reader = _one_that_answers(reader, context, every)
            if reader.latest is not None:
                age = time.monotonic() - reader.answered_at
                live.update(drawn(reader.latest, reader.diagnosis, _trouble(reader, every), age), refresh=True)
            _wait()


def _one_that_answers(reader: Reader, context: StackContext, every: float) -> Reader:
    """Replace a reader whose server stopped answering; the new reader opens its own connection."""
    if time.monotonic() - reader.began_at < every + _PATIENCE_SECONDS:
        return reader
    return _reader(context, every, reader)


def _trouble(reader: Reader, every: float) -> str:
    if reader.trouble is not None:
        what = "lost" if isinstance(reader.trouble, Unreachable) else "refused"
        text, _, _ = str(reader.trouble).partition(". ")
        return f"{what}, trying again: {text.rstrip('.')}"
    silent = time.monotonic() - reader.began_at - every
    return f"no answer for {format_age(silent)}" if silent > 5 else ""


def _wait() -> None:
    signal.sigtimedwait({signal.SIGWINCH}, _DRAW_EVERY_SECONDS)
