"""`bubble-sync watch`: a live screen of one stack."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import TERMINATED
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import ConfigFile, DatabaseUrlEnv, StackName, duration
from bubble_sync.cli.output import StackContext, screen
from bubble_sync.cli.reader import Reader
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.doctor import Diagnosis
    from bubble_sync.health.status import WatchSnapshot

    Seen = tuple[WatchSnapshot, Diagnosis | None]

EXAMINE_EVERY_SECONDS = 30.0
"""Seconds between two runs of the doctor, whose checks cost more than a status."""

_DRAW_EVERY_SECONDS = 1.0

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


class _Question:
    """What the screen shows: the snapshot at once, then with the doctor's findings when these are due."""

    def __init__(self, context: StackContext) -> None:
        self._context = context
        self._diagnosis: Diagnosis | None = None
        self._examined_at = -EXAMINE_EVERY_SECONDS

    def read(self) -> Iterator[Seen]:
        from bubble_sync.health.doctor import doctor
        from bubble_sync.health.status import watch_snapshot

        about = self._context.database, self._context.settings, self._context.name
        snapshot = watch_snapshot(*about)
        yield snapshot, self._diagnosis
        if time.monotonic() - self._examined_at >= EXAMINE_EVERY_SECONDS:
            self._diagnosis = doctor(*about)
            self._examined_at = time.monotonic()
            yield snapshot, self._diagnosis


def _follow(context: StackContext, every: float, console: Console) -> None:
    from rich.live import Live

    from bubble_sync.cli.render.watch_screen import drawn

    reader = Reader(_Question(context).read, context.database.close, every)
    reader.start()
    reader.looked.wait()
    reader.require()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            reader.require()
            reader = reader.renewed()
            if reader.latest is not None:
                live.update(drawn(*reader.latest, reader.trouble_in_words, reader.age_seconds), refresh=True)
            _wait()


def _wait() -> None:
    signal.sigtimedwait({signal.SIGWINCH}, _DRAW_EVERY_SECONDS)
