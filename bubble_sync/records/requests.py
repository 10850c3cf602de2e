"""Requests of our functions, from our own log; `None` where the log has no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bubble_sync.database.database import Connection, Database, Row
from bubble_sync.database.polling import poll
from bubble_sync.database.table_names import QUEUE_TABLE, REQUEST_TABLE, RESPONSE_TABLE
from bubble_sync.formatting import format_age, format_timestamp
from bubble_sync.records.messages import readable
from bubble_sync.records.verdicts import ANSWERED, BAD, OUTSTANDING, first_characters, verdict_of
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

LONGEST_ANSWER = timedelta(minutes=3)
"""The longest timeout, plus pg_net's own delay: a batch is answered as a whole."""
WORDED = (ANSWERED, *BAD)
"""Verdicts shown with the first characters of the response."""


@dataclass(frozen=True)
class Request:
    """One request and its result; `outstanding` without a response."""

    function: str
    runid: int | None
    request_id: int
    waiting: int
    sent_at: datetime
    settled_at: datetime | None
    verdict: str
    status_code: int | None
    error: str
    duration_ms: int | None
    """Time to the response by the endpoint's clock, in whole seconds; of a timeout, pg_net's value."""
    processed: int | None
    failed: int | None
    skipped: int
    """Ticks skipped since by the overlap guard."""
    quote: str = ""
    """The start of a bad response, while pg_net keeps it."""
    moved: bool = False
    """Inconclusive response, with an item processed in the minutes after the request."""

    @property
    def cause(self) -> str:
        """Return why it was sent: the job saw waiting items, or an insert sent it without a look at the queue."""
        return f"{self.waiting} waiting" if self.waiting else "sent by an insert"

    @property
    def name(self) -> str:
        """Return the request's id, function and time."""
        return f"request {self.request_id} of {self.function} at {format_timestamp(self.sent_at)}"

    def __str__(self) -> str:
        """Return the verdict with its evidence."""
        numbers = ((self.processed, "processed"), (self.failed, "failed"), (self.skipped or None, "skipped since"))
        counts = [f"{number} {word}" for number, word in numbers if number is not None]
        status = f"HTTP {self.status_code}" if self.status_code else ""
        moved = "an item was processed since" if self.moved else ""
        took = ""
        if self.duration_ms is not None:
            took = f"in {format_age(self.duration_ms / 1000)}" if self.duration_ms >= 1000 else "in under 1 s"
        facts = [status, took, *counts, moved, self.error, self.quote]
        text = ", ".join(fact for fact in facts if fact)
        return f"{self.verdict} ({text})" if text else self.verdict


@dataclass(frozen=True)
class SentRequest:
    """A request in progress."""

    function: str
    request_id: int
    waiting: int
    sent_at: datetime


def requests_in(rows: Iterable[Row]) -> tuple[Request, ...]:
    """Read rows of `bubble_sync.dispatches`."""
    return tuple(
        Request(
            function=row.get("function", ""),
            verdict="ok" if row.get("moved") else row["verdict"] or OUTSTANDING,
            moved=bool(row.get("moved")),
            error=readable(row["error"]),
            **{
                name: row[name]
                for name in (
                    "runid", "request_id", "waiting", "sent_at", "settled_at", "status_code", "duration_ms",
                    "processed", "failed", "skipped",
                )
            },
        )
        for row in rows
    )  # fmt: skip


def answers_to(conn: Connection, visible: Visibility, requests: Sequence[Request]) -> Mapping[int, Row]:
    """Return the judged answers to requests by their ids, as long as pg_net remembers them."""
    if visible.why_unreadable(RESPONSE_TABLE):
        return {}
    return verdict_of(conn, ((request.request_id, request.sent_at) for request in requests))


def with_answers(requests: Sequence[Request], answers: Mapping[int, Row]) -> tuple[Request, ...]:
    """Fill in the verdict of outstanding requests from pg_net's responses, and quote bad ones."""
    return tuple(_with_answer(one, answer) if (answer := answers.get(one.request_id)) else one for one in requests)


def moved_on(conn: Connection, visible: Visibility, requests: Sequence[Request]) -> tuple[Request, ...]:
    """Mark inconclusive requests as ok when an item was processed afterwards."""
    silent = [one for one in requests if one.verdict == ANSWERED]
    if not silent or visible.why_unreadable(QUEUE_TABLE):
        return tuple(requests)
    asked = {"ids": [one.request_id for one in silent], "moments": [one.sent_at for one in silent]}
    moved = {row["request_id"] for row in conn.execute(query("requests", "moved"), asked).fetchall()}
    return tuple(
        replace(one, verdict="ok", quote="", moved=True) if one in silent and one.request_id in moved else one
        for one in requests
    )


def as_of_now(conn: Connection, visible: Visibility, requests: Sequence[Request]) -> tuple[Request, ...]:
    """Complete the requests that are not known to be good."""
    asked = [one for one in requests if one.verdict in (OUTSTANDING, *WORDED)]
    return moved_on(conn, visible, with_answers(requests, answers_to(conn, visible, asked)))


def newest_answered(requests: Sequence[Request]) -> Request | None:
    """Return the newest answered request of a function, a bad one first; requests come newest first."""
    newest = {one.function: one for one in reversed(requests) if one.verdict != OUTSTANDING}.values()
    return min(newest, key=lambda one: (one.verdict not in BAD, requests.index(one)), default=None)


def stuck(requests: Sequence[Request], now: datetime) -> Request | None:
    """Return the oldest unanswered request past its timeout and newer than any answered one."""
    for place, one in enumerate(requests):
        if one.verdict != OUTSTANDING:
            requests = requests[:place]
            break
    return next((one for one in reversed(requests) if now - one.sent_at > LONGEST_ANSWER), None)


def _with_answer(request: Request, answer: Row) -> Request:
    if request.verdict == OUTSTANDING:
        facts = {name: answer[name] for name in ("verdict", "status_code", "processed", "failed")}
        request = replace(request, **facts, error=readable(answer["error"]))
    text = first_characters(answer["content"]) if request.verdict in WORDED else ""
    return replace(request, quote=text)


@in_one_read("looking for pg_net's answers")
def why_not_followed(conn: Connection, visible: Visibility) -> str:
    """Return why requests cannot be followed; nothing when they can."""
    return visible.why_unreadable(RESPONSE_TABLE, REQUEST_TABLE)


def follow(database: Database, sent: SentRequest, seconds: float) -> Request:
    """Poll for the response until the deadline; without one the verdict is `outstanding` or `lost`."""
    return poll(
        lambda: _look(database, sent),
        lambda request: request.settled_at is not None,
        seconds,
    )


@in_one_read("reading pg_net's answer")
def _look(conn: Connection, visible: Visibility, sent: SentRequest) -> Request:
    row: Row = {**vars(sent), "runid": None, "settled_at": None, "verdict": None, "error": None}
    row |= {**dict.fromkeys(("status_code", "duration_ms", "processed", "failed")), "skipped": 0}
    # Keep this order: a request leaves the queue after its response is written.
    queued = conn.execute(query("requests", "queued"), {"id": sent.request_id}).fetchone() is not None
    answers = verdict_of(conn, [(sent.request_id, sent.sent_at)])
    if answers:
        row["settled_at"] = answers[sent.request_id]["read_at"]
    elif not queued:
        row["verdict"] = "lost"
    return moved_on(conn, visible, with_answers(requests_in([row]), answers))[0]
