"""Await the response to one request, and judge it as `bubble_sync.settle` does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bubble_sync.database.database import Connection, Database, Row
from bubble_sync.database.polling import poll
from bubble_sync.database.table_names import REQUEST_TABLE, RESPONSE_TABLE
from bubble_sync.records import visibility
from bubble_sync.records.requests import Request, moved_on, requests_in, with_answers
from bubble_sync.records.verdicts import verdict_of
from bubble_sync.sql_loader import query


@dataclass(frozen=True)
class SentRequest:
    """A request in progress."""

    function: str
    request_id: int
    waiting: int
    sent_at: datetime


def why_unreadable(database: Database) -> str:
    """Return why requests cannot be followed; nothing when they can."""
    return database.read(
        "looking for pg_net's answers",
        lambda conn: visibility.probe_visibility(conn).why_unreadable(RESPONSE_TABLE, REQUEST_TABLE),
    )


def follow(database: Database, sent: SentRequest, seconds: float) -> Request:
    """Poll for the response until the deadline; without one the verdict is `outstanding` or `lost`."""
    return poll(
        lambda: database.read("reading pg_net's answer", lambda conn: _look(conn, sent)),
        lambda request: request.settled_at is not None,
        seconds,
    )


def _look(conn: Connection, sent: SentRequest) -> Request:
    row: Row = {**vars(sent), "runid": None, "settled_at": None, "verdict": None, "error": None}
    row |= {**dict.fromkeys(("status_code", "duration_ms", "processed", "failed")), "skipped": 0}
    # Keep this order: a request leaves the queue after its response is written.
    queued = conn.execute(query("requests", "queued"), {"id": sent.request_id}).fetchone() is not None
    answers = verdict_of(conn, [(sent.request_id, sent.sent_at)])
    if answers:
        row["settled_at"] = answers[sent.request_id]["read_at"]
    elif not queued:
        row["verdict"] = "lost"
    return moved_on(conn, visibility.probe_visibility(conn), with_answers(requests_in([row]), answers))[0]
