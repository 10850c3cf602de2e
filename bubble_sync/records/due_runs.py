"""Missed runs: a due time counts only when its run would be on record.

Such a time is later than the server's start, the oldest run on record and the job's row in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bubble_sync.config.schedules import first_due, overdue_since
from bubble_sync.database.database import Connection, Row
from bubble_sync.formatting import format_timestamp
from bubble_sync.sql_loader import query

NO_RUN = "no finished run of it is on record"
_A_RUN = timedelta(minutes=1)
"""Time that pg_cron gets to start and finish a due run."""
_SWITCHED_OFF = "pg_cron keeps no history (cron.log_run is off)"
_CLEARED = f"{NO_RUN}: the history was cleared"


@dataclass(frozen=True)
class Due:
    """A job's runs against its schedule."""

    missed: datetime | None = None
    """Due then and once more since, without a run on record."""
    first: datetime | None = None
    """The first due time that counts is still to come."""
    unknown: str = ""

    def __str__(self) -> str:
        """Return the missed or the first due time."""
        if self.missed:
            return f"was due at {format_timestamp(self.missed)}, and no run since is on record"
        return f"is first due at {format_timestamp(self.first)}" if self.first else ""


@dataclass(frozen=True)
class Record:
    """The visible runs, and the start of the record."""

    now: datetime
    since: datetime
    """Earlier runs may be unrecorded or impossible."""
    began: Mapping[int, datetime] = field(default_factory=dict)
    """Start of each job's newest run, finished or not, by jobid."""
    recorded: Mapping[str, datetime] = field(default_factory=dict)
    """Time of each object's ledger row."""
    silent: str = ""
    """Why a missing run proves nothing."""

    def due(self, name: str, schedule: str, jobid: int) -> Due:
        """Judge an active job."""
        counted_from = max(self.since, self.recorded.get(f"job {name}", self.since))
        return due(schedule, self.began.get(jobid), counted_from, self.now, self.silent)


def due(schedule: str, began: datetime | None, counted_from: datetime, now: datetime, silent: str = "") -> Due:
    """Judge a job by the start of its newest run; ignore due times before `counted_from`."""
    since = overdue_since(schedule, now)
    if began and since and began >= since:
        return Due()
    if since and counted_from < since:
        return Due(unknown=silent) if silent else Due(missed=since)
    # Until then no run can be missing, whatever the history holds.
    first = first_due(schedule, counted_from)
    if first and first + _A_RUN > now and (began is None or began < counted_from):
        return Due(first=first)
    return Due(unknown=silent or ("" if began else NO_RUN))


def record_in(conn: Connection, recorded: Mapping[str, datetime]) -> Record:
    """Read the newest runs and the start of the record; `recorded` comes from the ledger."""
    (about,) = conn.execute(query("runs", "record")).fetchall()
    began = {row["jobid"]: row["start_time"] for row in conn.execute(query("runs", "began")).fetchall()}
    return Record(about["asked_at"], counted_from(about), began, recorded, _silent(about))


def counted_from(about: Row) -> datetime:
    """Return the later of the server's start and the oldest run on record; an older observer lacks both."""
    moments = (_started(about), about["oldest_run_at"])
    return max((moment for moment in moments if moment is not None), default=datetime.min.replace(tzinfo=UTC))


def _silent(about: Row) -> str:
    if about["log_run"] == "off":
        return _SWITCHED_OFF
    return _CLEARED if about["oldest_run_at"] is None and about["numbered"] else ""


def _started(about: Row) -> datetime | None:
    started: datetime | None = about["server_started_at"]
    return started


def recorded_in(conn: Connection) -> dict[str, datetime]:
    """Read the time of each ledger row."""
    rows = conn.execute(query("ledger", "rows")).fetchall()
    return {row["object"]: datetime.fromisoformat(row["recorded_at"]) for row in rows if row["recorded_at"]}
