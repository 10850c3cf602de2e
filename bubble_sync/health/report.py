"""Read everything that is known of a stack: whether the sync works, its problems and its recent history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bubble_sync.compare.liveness import Liveness
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Database
from bubble_sync.health.doctor import Diagnosis, doctor
from bubble_sync.health.failures import Failures, failures
from bubble_sync.health.history import History, history
from bubble_sync.health.verify import ChecklistLine, verify

FAILED_ITEMS = 50


@dataclass(frozen=True)
class Report:
    """The results, each read in its own transaction."""

    stack: str
    project_ref: str | None
    host: str
    """The database's host."""
    asked_at: datetime
    checklist: tuple[ChecklistLine, ...]
    liveness: Liveness
    diagnosis: Diagnosis
    history: History
    failures: Failures


def report(database: Database, settings: StackSettings, stack: str, project_ref: str | None, span: timedelta) -> Report:
    """Read all results."""
    past, checked = history(database, settings, span), verify(database, settings, stack, project_ref)
    return Report(
        stack=stack,
        project_ref=project_ref,
        host=database.host,
        asked_at=past.until,
        checklist=checked.lines,
        liveness=checked.liveness,
        diagnosis=doctor(database, settings, stack),
        history=past,
        failures=failures(database, stack, project_ref, FAILED_ITEMS),
    )
