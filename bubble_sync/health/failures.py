"""Items that failed lately, their errors, and their next attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.database.database import Connection, Row
from bubble_sync.database.table_names import QUEUE_TABLE
from bubble_sync.records.messages import details_in, function_log, message_pattern, readable
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

_COUNTED = 10_000


@dataclass(frozen=True)
class FailedItem:
    """One failed item."""

    id: str
    record_id: str
    error: str
    retry_count: int | None
    max_retries: int | None
    next_retry_at: datetime | None
    created_at: datetime
    details: Mapping[str, str]
    """What the Edge Function noted, redacted, when asked for."""

    @property
    def dead(self) -> bool:
        """Return whether no attempt is left; without max_retries the answer is unknown."""
        if self.retry_count is None or self.max_retries is None:
            return False
        return self.retry_count >= self.max_retries


@dataclass(frozen=True)
class FailureGroup:
    """Items of one operation with similar messages: their count, and the newest of them."""

    operation: str
    error: str
    count: int
    items: tuple[FailedItem, ...]


@dataclass(frozen=True)
class Failures:
    """Failed items: groups count the newest `counted`, and hold `most` items at most."""

    stack: str
    most: int
    total: int
    counted: int
    groups: tuple[FailureGroup, ...]
    function_log: str
    unknown: Mapping[str, str]

    @property
    def items(self) -> int:
        """Count the items in the groups."""
        return sum(len(group.items) for group in self.groups)


@in_one_read("reading failed items")
def failures(
    conn: Connection, visible: Visibility, stack: str, project_ref: str | None, most: int, *, details: bool = False
) -> Failures:
    """Count failed items by error, and return the newest `most`, with what the Edge Function noted when `details`."""
    if why := visible.why_unreadable(QUEUE_TABLE):
        return Failures(stack, most, 0, 0, (), function_log(project_ref, visible.names), {"items": why})
    rows = conn.execute(query("items", "failures"), {"most": _COUNTED, "detailed": most if details else 0}).fetchall()
    total = rows[0]["total"] if rows else 0
    return Failures(stack, most, total, len(rows), grouped(rows, most), function_log(project_ref, visible.names), {})


def grouped(rows: Sequence[Row], most: int) -> tuple[FailureGroup, ...]:
    """Group rows by operation and common message, newest first, with items for the first `most`."""
    shown = {row["id"] for row in rows[:most]}
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        error = message_pattern(row["error_message"], row["id"], row["record_id"])
        alike.setdefault((row["operation"] or "no operation", error), []).append(row)
    groups = [
        FailureGroup(*kind, len(of_it), tuple(_failure(row) for row in of_it if row["id"] in shown))
        for kind, of_it in alike.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.count, group.operation, group.error)))


def _failure(row: Row) -> FailedItem:
    kept = ("id", "record_id", "retry_count", "max_retries", "next_retry_at", "created_at")
    details = details_in(row["details"])
    return FailedItem(error=readable(row["error_message"]), details=details, **{name: row[name] for name in kept})
