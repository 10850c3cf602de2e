"""Our jobs in pg_cron, each with the newest finished run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.database.database import Connection, Row
from bubble_sync.database.table_names import JOB_TABLE, LEDGER_TABLE, RUN_TABLE
from bubble_sync.model.jobs import MANAGED_JOBS, optional_jobs
from bubble_sync.model.pauses import Pause, paused
from bubble_sync.records.due_runs import NO_RUN, Due, Record, record_in, recorded_in
from bubble_sync.records.visibility import Visibility
from bubble_sync.sql_loader import query


def job_names(names: NameSettings) -> tuple[str, ...]:
    """Return the names of the jobs of every stack."""
    return tuple(names.render(job.name) for job in MANAGED_JOBS)


@dataclass(frozen=True)
class Job:
    """One job; an unknown field is None, with the reason in `problem` or `unknown`."""

    name: str
    jobid: int | None = None
    schedule: str | None = None
    active: bool | None = None
    run: str | None = None
    """Status of the newest finished run."""
    run_at: datetime | None = None
    first_due: datetime | None = None
    """The first due time, for a job that has never been due in its current form."""
    problem: str = ""
    unknown: str = ""
    pause: Pause | None = None

    @property
    def paused(self) -> bool:
        """Return whether the job is paused as configured, and not past the end of the pause."""
        return self.active is False and self.pause is not None and not self.pause.overdue


def jobs_in(conn: Connection, visible: Visibility, settings: StackSettings) -> tuple[Job, ...]:
    """Read the jobs by name, ours first; missing jobs are included."""
    now = visible.asked_at
    pauses = paused(settings, now)
    names = (*job_names(settings.names), *(settings.names.render(job.name) for job in optional_jobs(settings)))
    if why := visible.why_unreadable(JOB_TABLE):
        return tuple(Job(name, unknown=why, pause=pauses.get(name)) for name in names)
    rows = conn.execute(query("runs", "jobs")).fetchall()
    hidden = visible.why_unreadable(RUN_TABLE)
    runs = {} if hidden else {row["jobid"]: row for row in conn.execute(query("runs", "newest")).fetchall()}
    record = Record(now, now, silent=hidden) if hidden else _record(conn, visible)
    found = _jobs(names, rows, runs, visible.why_no_job(), record)
    return tuple(_with_pause(job, pauses.get(job.name)) for job in found)


def _record(conn: Connection, visible: Visibility) -> Record:
    if not visible.present(LEDGER_TABLE):
        return record_in(conn, {})
    if why := visible.why_unreadable(LEDGER_TABLE):
        # Without the ledger the age of the jobs is unknown.
        return replace(record_in(conn, {}), silent=why)
    return record_in(conn, recorded_in(conn))


def _jobs(names: Sequence[str], rows: list[Row], runs: dict[int, Row], unseen: str, record: Record) -> Iterator[Job]:
    for name in dict.fromkeys((*names, *(row["jobname"] for row in rows))):
        found = [row for row in rows if row["jobname"] == name]
        if not found:
            yield Job(name, unknown=unseen) if unseen else Job(name, problem="is not there")
        for row in found:
            run = runs.get(row["jobid"])
            due = record.due(name, row["schedule"], row["jobid"]) if row["active"] else Due()
            yield Job(
                name=name,
                jobid=row["jobid"],
                schedule=row["schedule"],
                active=row["active"],
                run=run["status"] if run else None,
                run_at=run["start_time"] if run else None,
                first_due=due.first,
                problem=_problem(row, run, due),
                unknown=due.unknown or ("" if run or due.first or due.missed else record.silent or NO_RUN),
            )


def _with_pause(job: Job, pause: Pause | None) -> Job:
    """Compare a job with the configuration: a paused job misses no run."""
    if pause is None or job.active is None:
        return replace(job, pause=pause)
    if job.active:
        return replace(job, pause=pause, problem=f"is active but configured as {pause}; run `pulumi up`")
    return replace(job, pause=pause, problem=f"is {pause}" if pause.overdue else "", unknown="")


def _problem(job: Row, run: Row | None, due: Due) -> str:
    if not job["active"]:
        return "is not active"
    if run is not None and run["status"] == "failed":
        return f"failed in its last run (runid {run['runid']})"
    return str(due) if due.missed else ""
