"""Claim items of the queue, work on them and mark them, as the Edge Function does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row, dict_row
from pydantic import BaseModel, Field

from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.scripts import script

#: The status of the items that an action takes.
CLAIMS = {"process_queue_data_api": "pending", "retry_failed": "failed"}
STATUS = "get_status"


class Payload(BaseModel):
    """The numbers of a call, whose smaller one limits the items."""

    limit: int = Field(default=10, ge=1)
    batch_size: int = Field(default=10, ge=1)

    @property
    def most(self) -> int:
        """Return the most items of one call."""
        return min(self.limit, self.batch_size)


class Call(BaseModel):
    """The body of a request."""

    action: str
    payload: Payload = Payload()


@dataclass(frozen=True)
class QueueItem:
    """A claimed row of the queue."""

    id: str
    record_id: str
    operation: str


def _bubble_id() -> str:
    return f"{time.time_ns() // 1_000_000}x{secrets.randbelow(10**18):018d}"


def _work(connection: psycopg.Connection, item: QueueItem) -> str | None:
    """Do one item's work and return the reason of a failure, or None."""
    if item.operation != "SIGNUP_ATOMIC":
        return None
    ids = {f"{record}_bubble_id": _bubble_id() for record in ("user", "host", "guest")}
    row = connection.execute(script("fill_bubble_ids"), {"record_id": item.record_id, **ids}).fetchone()
    return None if row == (3,) else f"sign-up {item.record_id}: user, host or guest record is missing"


def _process(connection: psycopg.Connection, item: QueueItem, behaviour: Behaviour) -> str:
    """Work on one item in a transaction of its own and return its new status."""
    with connection.transaction():
        problem = behaviour.fail_with or _work(connection, item)
        if problem is None:
            connection.execute(script("complete_item"), {"id": item.id})
            return "completed"
        values = {"id": item.id, "message": problem, "retry_after_seconds": behaviour.retry_after_seconds}
        connection.execute(script("fail_item"), values)
        return "failed"


@contextmanager
def _queue(address: str) -> Iterator[psycopg.Connection]:
    """Connect with the rights that an Edge Function has."""
    with psycopg.connect(address, autocommit=True, application_name="edge function emulator") as connection:
        connection.execute("set role service_role")
        yield connection


def count_by_status(address: str) -> Mapping[str, int]:
    """Return the number of items at each status, and change none."""
    with _queue(address) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(script("count_items")).fetchone() or {}


def drain(address: str, call: Call, behaviour: Behaviour) -> Mapping[str, str]:
    """Claim items, work on them, and return each one's status by its id."""
    with _queue(address) as connection:
        with connection.cursor(row_factory=class_row(QueueItem)) as cursor:
            # Committed at once: a call that dies later leaves its items in `processing`, as the real one does.
            asked = {"status": CLAIMS[call.action], "most": call.payload.most}
            items = cursor.execute(script("claim_items"), asked).fetchall()
        if behaviour.abandon:
            return {item.id: "processing" for item in items}
        return {item.id: _process(connection, item, behaviour) for item in items}
