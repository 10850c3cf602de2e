"""What the benchmarks share: one embedded platform for the whole run, and a fresh database from it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.platform import Platform
from tests.fixtures.platform import reset
from tests.fixtures.site import Site

CHECKOUT = Path(__file__).resolve().parents[1]
#: pg_cron lives and runs nothing: a tick is measured when we make it.
SETTINGS = {"cron.host": "/nowhere", "cron.log_run": "off"}


class Workbench:
    """The number of rounds, folders, and a platform that starts when the first benchmark wants it."""

    def __init__(self, rounds: int) -> None:
        """Take the number of rounds; nothing is started."""
        self.rounds = rounds
        self._stack = ExitStack()

    @cached_property
    def addresses(self) -> Addresses:
        """Start the platform."""
        return self._start()

    def folder(self) -> Path:
        """Return a new folder that goes with the run."""
        # Its path must be short: a socket lies in it.
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bsb-", ignore_cleanup_errors=True)))

    def site(self, database_url: str | None = None) -> Site:
        """Return a database as a fresh project has it, reached by its own URL or another."""
        Site(self.addresses, self._database(self.addresses.database_url)).end_sessions()
        reset(self.addresses)
        return Site(self.addresses, self._database(database_url or self.addresses.database_url))

    def another_site(self) -> Site:
        """Return a database like that one on a separate server, as the baseline."""
        addresses = self._start()
        reset(addresses)
        return Site(addresses, self._database(addresses.database_url))

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the platform and remove every folder."""
        self._stack.close()

    def _start(self) -> Addresses:
        platform = Platform(self.folder())
        self._stack.callback(platform.remove)
        return platform.start(SETTINGS)

    def _database(self, url: str) -> Database:
        database = Database(read_database_url(url))
        self._stack.callback(database.close)
        return database
