"""What became of one request: looked at until it is answered, and judged as `bubble_sync.settle` does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bubble_sync.database import Connection, Database, Row
from bubble_sync.questions import sight
from bubble_sync.questions.requests import Request, requests_in
from bubble_sync.statements import query

WAIT_BEYOND_TIMEOUT_SECONDS = 10
"""pg_net takes requests in batches, and answers a batch as a whole: ours may wait for another one's slowest."""
_LOOK_EVERY_SECONDS = 0.5
_LONGEST_COUNT = 9


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
        "looking for pg_net's answers", lambda conn: sight.look(conn).why_not(sight.RESPONSES, sight.QUEUED)
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


def judged(answer: Row) -> Mapping[str, Any]:
    """Give verdict and counts of a row of pg_net's answers; held against `bubble_sync.settle` by a test."""
    processed, failed = _counts(answer["content"])
    status, error = answer["status_code"], answer["error_msg"]
    if answer["timed_out"] or (status is None and (error or "").lower().startswith("timeout")):
        verdict = "timed out"
    elif status is not None and 200 <= status < 300:
        verdict = "partial" if failed else "ok"
    else:
        verdict = "rejected"
    return {"verdict": verdict, "status_code": status, "error": error, "processed": processed, "failed": failed}


def _look(conn: Connection, sent: Sent) -> Request:
    row: Row = {**vars(sent), "runid": None, "settled_at": None, "verdict": None, "error": None}
    row |= {**dict.fromkeys(("status_code", "duration_ms", "processed", "failed")), "skipped": 0}
    given = {"id": sent.request_id, "sent_at": sent.sent_at}
    # In this order: whoever takes a request out of the queue has written its answer.
    queued = conn.execute(query("requests", "queued"), given).fetchone() is not None
    answer = conn.execute(query("requests", "answer"), given).fetchone()
    if answer is not None:
        row |= {"settled_at": answer["read_at"], **judged(answer)}
    elif not queued:
        row["verdict"] = "lost"
    (found,) = requests_in([row])
    return found


def _counts(content: str | None) -> tuple[int | None, int | None]:
    """Read the counts where they are whole numbers, at the top or under `data`; any text may stand there."""
    try:
        reply = json.loads(content or "")
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(reply, dict):
        return None, None
    data = reply.get("data")
    reply = data if isinstance(data, dict) else reply
    return _count(reply.get("processed")), _count(reply.get("failed"))


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_COUNT else None
