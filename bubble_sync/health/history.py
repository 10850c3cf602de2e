"""What happened in a span of time: the queue's depth, the requests and their verdicts, how long sign-ups took.

The queue keeps no history: the past is computed from the times at which the items that are there now were
queued and completed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Row
from bubble_sync.database.table_names import DISPATCH_TABLE, QUEUE_TABLE
from bubble_sync.health.status import Durations, durations_since
from bubble_sync.model.targets import TARGET, Target, target_for
from bubble_sync.records.verdicts import ANSWERED, BAD, OUTSTANDING, WORKED
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

SPAN_PARTS = 72
"""Parts of 20 minutes, for a day."""
_MOST_REQUESTS = 20_000
"""Enough for a week of both jobs at their default schedules."""
_EDGES = (0, 5, 10, 15, 20, 30, 40, 50, 60, 90, 300, 900, 3600)
_BELOW = (1, 2)
"""Edges for a target of less than a minute and the work."""


def edges_of(target: Target) -> tuple[int, ...]:
    """Return the lower edges of the latency bins in seconds, target and limit among them; the last bin is open."""
    finer = _BELOW if target.seconds < TARGET.seconds else ()
    return tuple(sorted({*_EDGES, *finer, target.seconds, target.limit}))


@dataclass(frozen=True)
class Depth:
    """The queue in one part of the span: items enqueued, completed, at the peak and at the end.

    `failed` counts the items of `left` that stand at failed now: the queue does not record when an item failed.
    """

    at: datetime
    enqueued: int
    completed: int
    most: int
    left: int
    failed: int = 0


@dataclass(frozen=True)
class SentCount:
    """Number of requests by function and verdict, sent in one part of the span."""

    at: datetime
    function: str
    verdict: str
    requests: int


@dataclass(frozen=True)
class Latency:
    """Latency of sign-ups: `bins` has one count per edge; seconds are None without sign-ups."""

    bins: tuple[int, ...]
    items: int
    median: float | None
    p95: float | None
    longest: float | None
    overdue: int
    """Sign-ups past the limit that are not completed: in no bin."""
    target: Target = TARGET

    @property
    def edges(self) -> tuple[int, ...]:
        """Return the lower edge of each bin."""
        return edges_of(self.target)

    @property
    def kept(self) -> int:
        """Count the sign-ups that met the target."""
        return sum(self.bins[: self.edges.index(self.target.seconds)])


@dataclass(frozen=True)
class History:
    """The history; an unreadable part is None, with the reason under `unknown`."""

    since: datetime
    until: datetime
    depths: tuple[Depth, ...] | None
    unplaced: int
    """Items without a time of enqueuing or completion: in no part."""
    sent: tuple[SentCount, ...] | None
    sent_since: datetime | None
    """Start of the part of our log that was read, when the log is longer."""
    latency: Latency | None
    unknown: Mapping[str, str]
    took: Durations | None = None
    """Of all items, not of sign-ups alone."""
    completed_at: datetime | None = None
    """The newest completion of an item, also before the span."""
    good_at: datetime | None = None
    """The newest request with a good answer."""
    bad_since: datetime | None = None
    """The first request with a bad answer after all that were accepted."""


@in_one_read("reading the history")
def history(conn: Connection, visible: Visibility, settings: StackSettings, span: timedelta) -> History:
    """Read the history of the span that ends now."""
    target = target_for(settings.processor.schedule)
    since, until = visible.asked_at - span, visible.asked_at
    given = {
        "since": since, "until": until, "parts": SPAN_PARTS, "part_seconds": span.total_seconds() / SPAN_PARTS,
        "edges": list(edges_of(target)), "limit": target.limit, "most": _MOST_REQUESTS,
        "good": list(WORKED), "accepted": [*WORKED, ANSWERED], "bad": list(BAD),
    }  # fmt: skip

    def rows(name: str) -> list[Row]:
        return conn.execute(query("report", name), given).fetchall()

    no_items, no_log = visible.why_unreadable(QUEUE_TABLE), visible.why_unreadable(DISPATCH_TABLE)
    log_since = None if no_log else rows("dispatches_since")[0]["since"]
    # A log that was turned off keeps its rows, which say nothing about the answers since.
    answers = rows("answers")[0] if settings.dispatch_log and not no_log else {"good_at": None, "bad_since": None}
    step = span / SPAN_PARTS
    return History(
        since=since,
        until=until,
        depths=None if no_items else depths_of(rows("depth"), since, step),
        unplaced=0 if no_items else rows("unplaced")[0]["items"],
        sent=None
        if no_log
        else tuple(
            SentCount(since + row["part"] * step, row["function"], row["verdict"] or OUTSTANDING, row["requests"])
            for row in rows("dispatches")
        ),
        sent_since=log_since if log_since and log_since > since else None,
        latency=None if no_items else latency_of(rows("latency"), rows("overdue")[0]["items"], target),
        unknown={what: why for what, why in (("items", no_items), ("requests", no_log)) if why},
        took=None if no_items else durations_since(conn, since),
        completed_at=None if no_items else rows("last_completed")[0]["at"],
        good_at=answers["good_at"],
        bad_since=answers["bad_since"],
    )


def depths_of(rows: Sequence[Row], since: datetime, step: timedelta) -> tuple[Depth, ...]:
    """Carry the remaining count into the next part; a part without events has no row."""
    by_part = {row["part"]: row for row in rows}
    depths, left, failed = [], 0, 0
    for part in range(SPAN_PARTS):
        row = by_part.get(part, {"before": 0, "came": 0, "went": 0, "most": 0, "failed": 0})
        found = left + row["before"]
        left = found + row["came"] - row["went"]
        failed += row["failed"]
        depths.append(Depth(since + part * step, row["came"], row["went"], max(found, row["most"]), left, failed))
    return tuple(depths)


def latency_of(rows: Sequence[Row], overdue: int, target: Target) -> Latency:
    """Put the counts into their bins; width_bucket numbers bins from 1."""
    counts = {row["bin"]: row["items"] for row in rows}
    whole = next(row for row in rows if row["bin"] is None)
    bins = tuple(counts.get(number, 0) for number in range(1, len(edges_of(target)) + 1))
    return Latency(bins, whole["items"], whole["median"], whole["p95"], whole["longest"], overdue, target)
