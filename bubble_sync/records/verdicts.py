"""The verdicts of requests: judge answers in the database, and show how they begin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from bubble_sync.database.database import Connection, Row
from bubble_sync.database.snapshot import rows_of_block
from bubble_sync.records.messages import anonymous
from bubble_sync.sql_loader import query

OUTSTANDING, TIMED_OUT = "outstanding", "timed out"
ANSWERED, FOREIGN, REFUSED_BY_BODY = "answered", "not the function's answer", "refused by its body"
VERDICTS = ("ok", ANSWERED, "partial", REFUSED_BY_BODY, FOREIGN, "rejected", TIMED_OUT, "lost", OUTSTANDING)
GOOD = ("ok", OUTSTANDING)
WORKED = ("ok", "partial")
"""Answers of a function that did its work."""
BAD = ("rejected", REFUSED_BY_BODY, FOREIGN)
"""Verdicts that prove a request did nothing."""
SUCCESS = range(200, 300)

_LONGEST_SHOWN = 120


def verdict_of(conn: Connection, asked: Iterable[tuple[int, datetime]]) -> Mapping[int, Row]:
    """Return pg_net's answers to requests by id, each judged by the text of `bubble_sync.settle`.

    Args:
        conn: A connection that may read pg_net's responses; psycopg's errors pass.
        asked: The requests' ids, and when they were sent: ids begin anew after a crash.
    """
    requests = dict(asked)
    if not requests:
        return {}
    pairs = [{"request_id": request_id, "sent_at": sent_at} for request_id, sent_at in requests.items()]
    values = {"asked": json.dumps(pairs, default=str), "since": min(requests.values())}
    return {row["request_id"]: row for row in rows_of_block(conn, query("outcomes", "judge"), values)}


def first_characters(content: bytes | None) -> str:
    """Return the start of a response in one line, redacted."""
    text = " ".join((content or b"").decode("utf-8", "replace").split())
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in anonymous(text))
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
