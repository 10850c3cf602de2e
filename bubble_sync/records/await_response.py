"""What became of one request: looked at until it is answered, and judged as `bubble_sync.settle` does."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.database.database import Connection, Database, Row
from bubble_sync.records import visibility
from bubble_sync.records.requests import Request, moved_on, requests_in, with_answers
from bubble_sync.sql_loader import query

WAIT_BEYOND_TIMEOUT_SECONDS = 10
"""pg_net takes requests in batches, and answers a batch as a whole: ours may wait for another one's slowest."""
_LOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Sent:
    """A request on its way."""

    function: str
    request_id: int
    waiting: int
    sent_at: datetime


def why_not(database: Database) -> str:
    """Say why no request can be followed; nothing when one can."""
    return database.read(
        "looking for pg_net's answers",
        lambda conn: visibility.look(conn).why_not(visibility.RESPONSES, visibility.QUEUED),
    )


def follow(database: Database, sent: Sent, seconds: float) -> Request:
    """Look for the answer until it is there or so long has passed; without one it is `outstanding` or `lost`."""
    pause, until = threading.Event(), time.monotonic() + seconds
    while (found := database.read("reading pg_net's answer", lambda conn: _look(conn, sent))).settled_at is None:
        if time.monotonic() >= until:
            return found
        # pg_net announces nothing: looking again is all there is.
        pause.wait(_LOOK_EVERY_SECONDS)
    return found


def _look(conn: Connection, sent: Sent) -> Request:
    row: Row = {**vars(sent), "runid": None, "settled_at": None, "verdict": None, "error": None}
    row |= {**dict.fromkeys(("status_code", "duration_ms", "processed", "failed")), "skipped": 0}
    given = {"id": sent.request_id, "sent_at": sent.sent_at}
    # In this order: whoever takes a request out of the queue has written its answer.
    queued = conn.execute(query("requests", "queued"), given).fetchone() is not None
    answer = conn.execute(query("requests", "answer"), given).fetchone()
    if answer is not None:
        row["settled_at"] = answer["read_at"]
    elif not queued:
        row["verdict"] = "lost"
    found = with_answers(requests_in([row]), {sent.request_id: answer} if answer else {})
    return moved_on(conn, visibility.look(conn), found)[0]
