"""Runs of the jobs, their durations, and the results of their requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection
from bubble_sync.database.table_names import DISPATCH_TABLE, JOB_TABLE, RUN_TABLE
from bubble_sync.health.jobs import Job, jobs_in
from bubble_sync.records.messages import readable
from bubble_sync.records.requests import Request, as_of_now, requests_in, stuck
from bubble_sync.records.verdicts import GOOD
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query


@dataclass(frozen=True)
class Performance:
    """One job's runs of a day; seconds are None without a finished run."""

    jobname: str
    executions: int
    avg_duration_seconds: float | None
    p95_duration_seconds: float | None
    failures: int
    since: datetime


@dataclass(frozen=True)
class Run:
    """One run, with its request where our log has one."""

    jobname: str
    runid: int
    status: str
    start_time: datetime | None
    duration_seconds: float | None
    message: str
    request: Request | None


@dataclass(frozen=True)
class Runs:
    """The runs of a stack."""

    stack: str
    jobs: tuple[Job, ...]
    performance: tuple[Performance, ...]
    runs: tuple[Run, ...]
    unknown: Mapping[str, str]
    asked_at: datetime

    @property
    def clean(self) -> bool:
        """Return whether every run of the day is good, and every request shown, or still within its time."""
        failures = sum(one.failures for one in self.performance)
        requests = [run.request for run in self.runs if run.request]
        known = not any(job.problem or job.unknown for job in self.jobs)
        return known and not failures and not self.stuck and all(request.verdict in GOOD for request in requests)

    @property
    def stuck(self) -> Request | None:
        """Return the oldest request without a response past its timeout."""
        return stuck([run.request for run in self.runs if run.request], self.asked_at)


@in_one_read("reading the runs")
def runs(conn: Connection, visible: Visibility, settings: StackSettings, stack: str, most: int) -> Runs:
    """Read a day's figures and the newest `most` runs."""
    unknown: dict[str, str] = {}
    jobs = jobs_in(conn, visible, settings)
    if why := visible.why_unreadable(JOB_TABLE, RUN_TABLE):
        return Runs(stack, jobs, (), (), {"runs": why}, visible.asked_at)
    performance = conn.execute(query("runs", "performance")).fetchall()
    latest = conn.execute(query("runs", "latest"), {"most": most}).fetchall()
    requests: dict[int | None, Request] = {}
    if why := visible.why_unreadable(DISPATCH_TABLE):
        unknown["requests"] = why
    else:
        since = min((row["start_time"] for row in latest if row["start_time"]), default=visible.asked_at)
        asked = {"runids": [row["runid"] for row in latest], "since": since}
        sent = requests_in(conn.execute(query("requests", "of_runs"), asked).fetchall())
        # Of several requests of a run, a bad one.
        known = sorted(as_of_now(conn, visible, sent), key=lambda one: one.verdict not in GOOD)
        requests = {request.runid: request for request in known}
    return Runs(
        stack=stack,
        jobs=jobs,
        performance=tuple(Performance(**row) for row in performance),
        runs=tuple(
            Run(
                jobname=row["jobname"],
                runid=row["runid"],
                status=row["status"],
                start_time=row["start_time"],
                duration_seconds=(row["end_time"] - row["start_time"]).total_seconds()
                if row["start_time"] and row["end_time"]
                else None,
                message=readable(row["return_message"]),
                request=requests.get(row["runid"]),
            )
            for row in latest
        ),
        unknown=unknown,
        asked_at=visible.asked_at,
    )
