"""What putting items back means: the ways there are, which items are meant, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Way:
    """One way to put an item back: its query in requeue.sql, where an item must stand, what becomes of its columns."""

    name: str
    stands_at: str
    becomes: Mapping[str, str]
    then: str


RETRY = Way(
    "retry",
    "failed",
    {
        "status": "failed -> pending",
        "retry_count": "0: it has all of its attempts again",
        "next_retry_at": "null",
        "error_message": "null: the error above is not kept",
    },
    "the next run of bubble-sync-processor",
)
RETRY_BY_RETRY = Way(
    "retry_by_retry",
    "failed",
    {
        "status": "failed, as it is: no run looks for pending items of this operation",
        "retry_count": "0: it has all of its attempts again",
        "next_retry_at": "now",
        "error_message": "null: the error above is not kept",
    },
    "the next run of bubble-sync-retry",
)
RELEASE = Way(
    "release",
    "processing",
    {
        "status": "processing -> failed",
        "retry_count": "1 more: what nobody finished was an attempt",
        "next_retry_at": "now",
        "error_message": "that it was released",
    },
    "the next run of bubble-sync-retry; without an attempt left, `bubble-sync retry --dead`",
)


@dataclass(frozen=True)
class Item:
    """One item as it was found."""

    id: str
    operation: str | None
    record_id: str
    error: str
    retry_count: int | None
    max_retries: int | None
    created_at: datetime


@dataclass(frozen=True)
class Move:
    """Items that are put back in one way, oldest first."""

    way: Way
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Passed:
    """An item that is left as it is, and why."""

    id: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What would be done."""

    moves: tuple[Move, ...]
    passed: tuple[Passed, ...]
    unknown: Mapping[str, str]

    @property
    def items(self) -> int:
        """Count the items."""
        return sum(len(move.items) for move in self.moves)


@dataclass(frozen=True)
class Done:
    """What was done."""

    changed: tuple[str, ...]
    passed: tuple[Passed, ...]
