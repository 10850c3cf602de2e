"""Status and findings as metrics: families with labels, help text and samples.

Each metric is a gauge, the only fitting type of node_exporter's textfile collector. An unknown number has no sample;
`bubble_sync_unknown` lists the unknown parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.compare.liveness import LivenessVerdict
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Row
from bubble_sync.health.doctor import Diagnosis, examine
from bubble_sync.health.jobs import Job
from bubble_sync.health.status import QueueStats, Status, status_in
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.records.verdicts import VERDICTS
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

Sample = tuple[tuple[str, ...], float]
"""Values of the labels except the stack's, and the number."""


@dataclass(frozen=True)
class Measured:
    """The results behind the metrics; status and diagnosis are None when the database is unreachable."""

    stack: str
    version: str
    at: datetime
    status: Status | None = None
    verdicts: tuple[Row, ...] | None = None
    """None when our log of requests is unreadable."""
    diagnosis: Diagnosis | None = None
    functions: tuple[str, ...] = ()
    """Our functions that send requests."""


@dataclass(frozen=True)
class Family:
    """One metric."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    samples: Callable[[Measured], Iterable[Sample]]

    @property
    def unit(self) -> str:
        """Return the unit at the end of the name."""
        return "seconds" if self.name.endswith("_seconds") else ""


@in_one_read("measuring")
def measure(conn: Connection, visible: Visibility, settings: StackSettings, stack: str, version: str) -> Measured:
    """Read everything; raise Unreachable."""
    status = status_in(conn, visible, settings, stack)
    logged = "requests" not in status.unknown
    verdicts = tuple(conn.execute(query("requests", "verdicts")).fetchall()) if logged else None
    found = examine(conn, visible, settings, stack)
    functions = tuple(job.named(settings.names).sender for job in MANAGED_JOBS if job.sends)
    return Measured(stack, version, status.asked_at, status, verdicts, found, functions)


def _of_status(tell: Callable[[Status], Iterable[Sample]]) -> Callable[[Measured], Iterable[Sample]]:
    return lambda measured: tell(measured.status) if measured.status else ()


def _of_diagnosis(tell: Callable[[Diagnosis], Iterable[Sample]]) -> Callable[[Measured], Iterable[Sample]]:
    return lambda measured: tell(measured.diagnosis) if measured.diagnosis else ()


def _of_queue(tell: Callable[[QueueStats], Iterable[Sample]]) -> Callable[[Measured], Iterable[Sample]]:
    return _of_status(lambda status: tell(status.queue) if status.queue else ())


def _of_jobs(tell: Callable[[Job], float | bool | None]) -> Callable[[Measured], Iterable[Sample]]:
    def samples(status: Status) -> Iterator[Sample]:
        for job in status.jobs:
            if (number := tell(job)) is not None:
                yield (job.name,), number

    return _of_status(samples)


def _unknown(status: Status) -> Iterator[Sample]:
    yield ("items",), status.queue is None
    yield ("jobs",), any(job.active is None and not job.problem for job in status.jobs)
    yield ("runs",), any(job.run is None and job.first_due is None for job in status.jobs)
    yield ("requests",), "requests" in status.unknown
    yield ("works",), status.liveness.verdict is LivenessVerdict.UNKNOWN


def _liveness(status: Status) -> Iterator[Sample]:
    if status.liveness.verdict is not LivenessVerdict.UNKNOWN:
        yield (), status.liveness.verdict is LivenessVerdict.LIKELY


def _verdicts(measured: Measured) -> Iterator[Sample]:
    if measured.verdicts is None:
        return
    # Emit zeros too: a new series shows no increase.
    counted = {(function, verdict): 0 for function in measured.functions for verdict in VERDICTS}
    counted |= {(row["function"], row["verdict"]): row["count"] for row in measured.verdicts}
    yield from counted.items()


_STATES = ("waiting", "undrained", "unrecognised", "in_flight", "stalled", "retrying", "dead")

FAMILIES: Sequence[Family] = (
    Family("bubble_sync_info", "1; the version of bubble-sync that asked", ("version",),
           lambda measured: [((measured.version,), 1)]),
    Family("bubble_sync_up", "1 when the database answered, 0 when it did not", (),
           lambda measured: [((), measured.status is not None)]),
    Family("bubble_sync_asked_timestamp_seconds", "When the database was asked", (),
           lambda measured: [((), measured.at.timestamp())]),
    Family("bubble_sync_works", "1 when the sync seems to work now, 0 when it does not; absent when unknown", (),
           _of_status(_liveness)),
    Family("bubble_sync_problems", "How many problems `bubble-sync status` finds", (),
           _of_status(lambda status: [((), len(status.problems))])),
    Family("bubble_sync_findings", "What `bubble-sync doctor` finds, without consequences of other findings",
           ("level", "check"),
           _of_diagnosis(lambda found: Counter((one.level, one.id) for one in found.causes).items())),
    Family("bubble_sync_checks_unknown", "How many checks of `bubble-sync doctor` cannot be asked", (),
           _of_diagnosis(lambda diagnosis: [((), len(diagnosis.unknown))])),
    Family("bubble_sync_unknown", "1 when these data cannot be read or do not exist: their metrics are absent",
           ("what",), _of_status(_unknown)),
    Family("bubble_sync_items", "Items in the queue, by operation and status", ("status", "operation"),
           _of_status(lambda status: [((str(row["status"]), str(row["operation"])), row["count"])
                                      for row in status.items])),
    Family("bubble_sync_queue_items", "Items that are not done, by where they stand", ("state",),
           _of_queue(lambda stats: [((state,), getattr(stats, state)) for state in _STATES])),
    Family("bubble_sync_oldest_waiting_age_seconds", "How long the oldest waiting item waits; 0 when none does", (),
           _of_queue(lambda stats: [((), stats.waited_seconds)])),
    Family("bubble_sync_items_last_hour", "Items enqueued or completed in the last hour",
           ("direction",),
           _of_queue(lambda stats: [(("enqueued",), stats.enqueued), (("completed",), stats.completed)])),
    # A role that sees all jobs but not this one knows that the job is not active.
    Family("bubble_sync_job_active", "1 when pg_cron runs the job", ("cron_job",),
           _of_jobs(lambda job: False if job.active is None and job.problem else job.active)),
    Family("bubble_sync_job_paused", "1 when the job is configured as paused", ("cron_job",),
           _of_jobs(lambda job: job.pause is not None)),
    Family("bubble_sync_job_pause_overdue", "1 when the pause should be over", ("cron_job",),
           _of_jobs(lambda job: job.pause is not None and job.pause.overdue)),
    Family("bubble_sync_job_problem", "1 when `bubble-sync status` finds something wrong with the job", ("cron_job",),
           _of_jobs(lambda job: True if job.problem else None if job.unknown else False)),
    Family("bubble_sync_job_last_run_success", "1 when the job's newest finished run succeeded", ("cron_job",),
           _of_jobs(lambda job: None if job.run is None else job.run == "succeeded")),
    Family("bubble_sync_job_last_run_timestamp_seconds", "When the job's newest finished run began", ("cron_job",),
           _of_jobs(lambda job: job.run_at.timestamp() if job.run_at else None)),
    Family("bubble_sync_requests_last_hour", "Requests that our functions sent in the last hour, by verdict",
           ("function", "verdict"), _verdicts),
)  # fmt: skip
"""All metrics; a new one needs one line here and one in docs/reference/metrics.md."""
