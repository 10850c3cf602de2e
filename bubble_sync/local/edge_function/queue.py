"""Claim items of the queue, work on them and mark them, as the Edge Function does."""

from __future__ import annotations

import math
import secrets
import threading
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
#: A claiming call takes no more items after this time: pg_net waits 30 s for the answer.
DRAIN_SECONDS = 25
LATE = "late"
#: The reference takes no more at once.
LARGEST_CLAIM = 1000
_NEVER = threading.Event()
#: The scripts that mark an item, without and with a lease.
_MARKS = {"completed": ("complete_item", "complete_claimed"), "failed": ("fail_item", "fail_claimed")}


class Payload(BaseModel):
    """The numbers of a call, whose smaller one limits the items."""

    limit: int = Field(default=10, ge=1)
    batch_size: int = Field(default=10, ge=1)

    @property
    def most(self) -> int:
        """Return the most items of one call."""
        return min(self.limit, self.batch_size)

    @property
    def drained(self) -> float:
        """Return the most items of one claiming call, which drains the queue unless a limit is given."""
        return self.limit if "limit" in self.model_fields_set else math.inf


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
    claim_token: str | None = None
    """The token of a claim with a lease."""


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
    _NEVER.wait(behaviour.work_seconds)
    with connection.transaction():
        problem = behaviour.fail_with or _work(connection, item)
        status = "completed" if problem is None else "failed"
        values = {
            "id": item.id, "token": item.claim_token, "message": problem,
            "retry_after_seconds": behaviour.retry_after_seconds,
        }  # fmt: skip
        marked = connection.execute(script(_MARKS[status][item.claim_token is not None]), values).rowcount
        if item.claim_token is None or marked:
            return status
        # Another worker has the item now: undo the work.
        raise psycopg.Rollback
    return LATE


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
    if behaviour.claims:
        return _drain_claimed(address, call, behaviour)
    with _queue(address) as connection:
        with connection.cursor(row_factory=class_row(QueueItem)) as cursor:
            # Committed at once: a call that dies later leaves its items in `processing`, as the real one does.
            asked = {"status": CLAIMS[call.action], "most": call.payload.most}
            items = cursor.execute(script("claim_items"), asked).fetchall()
        if behaviour.abandon:
            return {item.id: "processing" for item in items}
        return {item.id: _process(connection, item, behaviour) for item in items}


def _drain_claimed(address: str, call: Call, behaviour: Behaviour) -> Mapping[str, str]:
    """Claim batch after batch until no item is left, the limit is reached or the time is over."""
    deadline = time.monotonic() + DRAIN_SECONDS
    statuses: dict[str, str] = {}
    with _queue(address) as connection, connection.cursor(row_factory=class_row(QueueItem)) as cursor:
        connection.execute(script("requeue_stalled"))
        while (left := call.payload.drained - len(statuses)) > 0 and time.monotonic() < deadline:
            asked = {"status": CLAIMS[call.action], "most": min(left, call.payload.batch_size, LARGEST_CLAIM)}
            items = cursor.execute(script("claim_for_lease"), asked).fetchall()
            if behaviour.abandon:
                return {item.id: "processing" for item in items}
            if not items:
                break
            statuses.update({item.id: _process(connection, item, behaviour) for item in items})
    return statuses
