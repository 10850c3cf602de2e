"""What the tests of the database share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bubble_sync.records import due_runs
from tests.fixtures.breaking import set_up, working
from tests.fixtures.site import Site

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _long_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let due times count as on a server that has run for long and keeps its history; this one does neither.

    Its pg_cron numbers the runs of each full minute all the same.
    """
    judged = due_runs._silent
    monkeypatch.setattr(due_runs, "_started", lambda about: STARTED)
    monkeypatch.setattr(due_runs, "_silent", lambda about: judged({**about, "log_run": "on", "numbered": False}))


@pytest.fixture
def converged(site: Site) -> Site:
    """A project as `up` leaves it."""
    set_up(site, working())
    return site
