"""Status of the sync: whether it keeps up, and the items in the queue."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bubble_sync.compare.liveness import Liveness, LivenessVerdict, outcome_of, read_liveness
from bubble_sync.config.schedules import interval_of
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Row
from bubble_sync.database.table_names import DISPATCH_TABLE, QUEUE_TABLE, RESPONSE_TABLE
from bubble_sync.health.jobs import Job, jobs_in
from bubble_sync.model.jobs import PROCESSOR, is_guarded, sends_several
from bubble_sync.model.targets import TARGET, Target, target_for
from bubble_sync.records import visibility
from bubble_sync.records.requests import Request, as_of_now, requests_in
from bubble_sync.records.verdicts import ANSWERED, GOOD
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query


@dataclass(frozen=True)
class QueueStats:
    """The queue in numbers; `enqueued` and `completed` count the last hour."""

    waiting: int
    waiting_since: datetime | None
    undrained: int
    unrecognised: int
    in_flight: int
    stalled: int
    retrying: int
    dead: int
    enqueued: int
    completed: int
    asked_at: datetime

    @property
    def waited_seconds(self) -> float:
        """Return the waiting time of the oldest waiting item."""
        return (self.asked_at - self.waiting_since).total_seconds() if self.waiting_since else 0.0

    @property
    def seconds_to_empty(self) -> float | None:
        """Return the seconds until the queue is empty at the last hour's rates; None for never."""
        if not self.waiting:
            return 0.0
        shrinks = self.completed - self.enqueued
        return self.waiting * 3600 / shrinks if shrinks > 0 else None

    def problems(self, target: Target, *, drained: bool) -> tuple[str, ...]:
        """List the queue's problems. Waiting items are not one while the processor is paused."""
        found = {
            f"an item has waited for more than {target.limit} s": drained and self.waited_seconds > target.limit,
            f"{self.stalled} stalled in processing": self.stalled,
            f"{self.dead} dead: failed, with no attempt left": self.dead,
            f"{self.undrained} pending with an operation that no job counts": self.undrained,
            f"{self.unrecognised} with a status that no job knows": self.unrecognised,
        }
        return tuple(problem for problem, there in found.items() if there)


@dataclass(frozen=True)
class Durations:
    """Seconds from insert to completed of the items that the processor takes; None without items."""

    items: int
    median: float | None
    p95: float | None
    longest: float | None


@dataclass(frozen=True)
class DrainLimit:
    """The most items that the processor takes: so many requests of so many items in each interval."""

    requests: int
    items: int
    every_seconds: float

    @property
    def per_hour(self) -> float:
        """Return the items of an hour."""
        return self.requests * self.items * 3600 / self.every_seconds

    def seconds_for(self, waiting: int) -> float:
        """Return the shortest time in which so many items are taken."""
        return waiting * 3600 / self.per_hour


@dataclass(frozen=True)
class Status:
    """The status of a stack; an unreadable part is empty, with the reason under `unknown`."""

    stack: str
    asked_at: datetime
    items: tuple[Row, ...]
    queue: QueueStats | None
    summary: tuple[Row, ...]
    jobs: tuple[Job, ...]
    requests: tuple[Request, ...]
    response: Row | None
    """The newest response in pg_net to any request; read only without a log of our own."""
    liveness: Liveness
    unknown: Mapping[str, str]
    target: Target = TARGET
    took: Durations | None = None
    """Of the items completed in the last hour."""
    drain_limit: DrainLimit | None = None
    """None while the processor is paused."""

    @property
    def good(self) -> bool:
        """Return whether nothing is wrong and nothing important is unknown; paused jobs are fine."""
        stands = self.liveness.verdict is LivenessVerdict.NO and not self.pauses
        return not (self.problems or self.not_known or stands)

    @property
    def problems(self) -> tuple[str, ...]:
        """List the problems."""
        # A waiting item is no problem while the processor is paused.
        drained = not any(job.paused for job in self.jobs if job.name == self.jobs[0].name)
        return (
            *(self.queue.problems(self.target, drained=drained) if self.queue else ()),
            *(f"job {job.name} {job.problem}" for job in self.jobs if job.problem),
            *(
                f"the last request of {request.function} was {request}"
                for request in self.requests
                if request.verdict not in (*GOOD, ANSWERED)
            ),
        )

    @property
    def pauses(self) -> tuple[str, ...]:
        """List the paused jobs."""
        return tuple(f"job {job.name} is {job.pause}" for job in self.jobs if job.paused)

    @property
    def not_known(self) -> tuple[str, ...]:
        """List unknown facts without which the sync cannot be called working."""
        lines = [f"items: {self.unknown['items']}"] if "items" in self.unknown else []
        lines += [f"job {job.name}: {job.unknown}" for job in self.jobs if job.unknown]
        lines += [
            f"whether the last request of {request.function} did anything: it was {request}"
            for request in self.requests
            if request.verdict == ANSWERED
        ]
        # Without a log the response may belong to any request: a bad one proves nothing but deserves a look.
        if self.response is not None and not self.response["good"]:
            lines.append(f"whether a request of ours was refused: {outcome_of(self.response)} is the last response")
        return tuple(lines)


@dataclass(frozen=True)
class WatchSnapshot:
    """The status with the newest requests; without a log of requests the status has the reason."""

    status: Status
    requests: tuple[Request, ...]


def queue_stats_of(groups: Sequence[Row], asked_at: datetime) -> QueueStats:
    """Add up the rows of `items.by_status`; rates count the processor's operations only."""

    def total(column: str, status: str = "", *, drained: bool | None = None) -> int:
        return sum(
            row[column]
            for row in groups
            if status in ("", row["status"]) and (drained is None or row["drained"] == drained)
        )

    pending = [row["oldest_item"] for row in groups if row["status"] == "pending" and row["drained"]]
    waiting = [oldest for oldest in pending if oldest]
    return QueueStats(
        waiting=total("count", "pending", drained=True),
        waiting_since=min(waiting, default=None),
        undrained=total("count", "pending", drained=False),
        unrecognised=sum(row["count"] for row in groups if not (row["recognised"] or row["declared"])),
        in_flight=total("count", "processing") - total("stalled"),
        stalled=total("stalled"),
        retrying=total("count", "failed") - total("dead"),
        dead=total("dead"),
        enqueued=total("came", drained=True),
        completed=total("went", drained=True),
        asked_at=asked_at,
    )


def durations_since(conn: Connection, since: datetime) -> Durations:
    """Read the durations of the items that were completed since a moment."""
    (row,) = conn.execute(query("items", "took"), {"since": since}).fetchall()
    return Durations(**row)


def drain_limit_in(
    conn: Connection, visible: Visibility, settings: StackSettings, requests: Sequence[Request]
) -> DrainLimit | None:
    """Return the limit of the configured processor; a guarded one waits for its last request."""
    job = settings.processor
    every = interval_of(job.schedule, visible.asked_at)
    if not job.active or not every:
        return None
    together = job.requests_per_tick
    if sends_several(job) and not visible.why_unreadable(DISPATCH_TABLE, RESPONSE_TABLE):
        answers = conn.execute(query("outcomes", "newest_good")).fetchall()
        together = together if any(answer["claimed"] for answer in answers) else 1
    sender = PROCESSOR.named(settings.names).sender
    took = max((one.duration_ms or 0 for one in requests if one.function == sender), default=0) / 1000
    ticks = max(1, math.ceil(took / every)) if is_guarded(job) else 1
    return DrainLimit(together, job.batch_size, every * ticks)


def status_in(conn: Connection, visible: Visibility, settings: StackSettings, stack: str) -> Status:
    """Read queue, jobs and requests in an open transaction; the settings name the paused jobs."""
    visibility.require_configured_program(conn, visible, settings)
    unknown: dict[str, str] = {}
    items, summary, stats, took = [], [], None, None
    if why := visible.why_unreadable(QUEUE_TABLE):
        unknown["items"] = why
    else:
        groups = conn.execute(query("items", "by_status")).fetchall()
        items = [{name: row[name] for name in ("status", "operation", "count", "oldest_item")} for row in groups]
        stats = queue_stats_of(groups, visible.asked_at)
        summary = conn.execute(query("items", "summary")).fetchall()
        took = durations_since(conn, visible.asked_at - timedelta(hours=1))
    requests, response = _answers(conn, visible, unknown)
    return Status(
        stack=stack,
        asked_at=visible.asked_at,
        items=tuple(items),
        queue=stats,
        summary=tuple(summary),
        jobs=jobs_in(conn, visible, settings),
        requests=requests,
        response=response,
        liveness=read_liveness(conn, settings, stack),
        unknown=unknown,
        target=target_for(settings.processor.schedule),
        took=took,
        drain_limit=drain_limit_in(conn, visible, settings, requests),
    )


def _answers(conn: Connection, visible: Visibility, unknown: dict[str, str]) -> tuple[tuple[Request, ...], Row | None]:
    if not (why := visible.why_unreadable(DISPATCH_TABLE)):
        return as_of_now(conn, visible, requests_in(conn.execute(query("requests", "newest")).fetchall())), None
    unknown["requests"] = why
    if why := visible.why_unreadable(RESPONSE_TABLE):
        unknown["response"] = why
        return (), None
    return (), next(iter(conn.execute(query("requests", "response")).fetchall()), None)


status = in_one_read("reading the status")(status_in)


@in_one_read("reading the status")
def watch_snapshot(conn: Connection, visible: Visibility, settings: StackSettings, stack: str) -> WatchSnapshot:
    """Read the status and the newest requests."""
    found = status_in(conn, visible, settings, stack)
    if "requests" in found.unknown:
        return WatchSnapshot(found, ())
    rows = conn.execute(query("requests", "recent")).fetchall()
    return WatchSnapshot(found, as_of_now(conn, visible, requests_in(rows)))
