"""Which items failed lately, with what errors, and are they tried again?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from bubble_sync.database import Connection, Database, Row
from bubble_sync.questions import sight
from bubble_sync.questions.messages import function_log, kind_of, readable
from bubble_sync.statements import query


@dataclass(frozen=True)
class Failure:
    """One item."""

    id: str
    record_id: str
    error: str
    retry_count: int | None
    max_retries: int | None
    next_retry_at: datetime | None
    created_at: datetime

    @property
    def dead(self) -> bool:
        """Say whether no attempt is left: without a limit nobody knows."""
        if self.retry_count is None or self.max_retries is None:
            return False
        return self.retry_count >= self.max_retries


@dataclass(frozen=True)
class Group:
    """Items of one operation whose messages are alike, newest first."""

    operation: str
    error: str
    items: tuple[Failure, ...]


@dataclass(frozen=True)
class Failures:
    """The whole answer; `most` is how many items were asked for."""

    stack: str
    most: int
    groups: tuple[Group, ...]
    function_log: str
    unknown: Mapping[str, str]

    @property
    def items(self) -> int:
        """Count the items that are shown."""
        return sum(len(group.items) for group in self.groups)


def failures(database: Database, stack: str, project_ref: str | None, most: int) -> Failures:
    """Read the newest `most` failed items."""
    return database.read("reading failed items", lambda conn: _failures(conn, stack, project_ref, most))


def _failures(conn: Connection, stack: str, project_ref: str | None, most: int) -> Failures:
    if why := sight.look(conn).why_not(sight.QUEUE):
        return Failures(stack, most, (), function_log(project_ref), {"items": why})
    rows = conn.execute(query("items", "failures"), {"most": most}).fetchall()
    return Failures(stack, most, grouped(rows), function_log(project_ref), {})


def grouped(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Group items by operation and what their messages have in common, the largest group first."""
    alike = groupby(sorted(rows, key=_kind), _kind)
    groups = [Group(*kind, tuple(_failure(row) for row in of_it)) for kind, of_it in alike]
    return tuple(sorted(groups, key=lambda group: -len(group.items)))


def _kind(row: Row) -> tuple[str, str]:
    return row["operation"] or "no operation", kind_of(row["error_message"])


def _failure(row: Row) -> Failure:
    kept = ("id", "record_id", "retry_count", "max_retries", "next_retry_at", "created_at")
    return Failure(error=readable(row["error_message"]), **{name: row[name] for name in kept})
