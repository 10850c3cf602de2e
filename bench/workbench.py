"""The embedded platform that all benchmarks of a run share."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Self

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.platform import Platform

CHECKOUT = Path(__file__).resolve().parents[1]
#: pg_cron is up but cannot connect, so no tick disturbs a measurement.
SETTINGS = {"cron.host": "/nowhere", "cron.log_run": "off"}


class Workbench:
    """The number of rounds, new folders, and a platform that starts at its first use."""

    def __init__(self, rounds: int) -> None:
        """Set the number of rounds; nothing starts."""
        self.rounds = rounds
        self._stack = ExitStack()

    @cached_property
    def addresses(self) -> Addresses:
        """Start the platform and return its addresses."""
        platform = Platform(self.folder())
        self._stack.callback(platform.remove)
        return platform.start(SETTINGS)

    def folder(self) -> Path:
        """Return a new folder that the end of the run removes."""
        # Its path must be short: a socket lies in it.
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bsb-", ignore_cleanup_errors=True)))

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the platform and remove every folder."""
        self._stack.close()
