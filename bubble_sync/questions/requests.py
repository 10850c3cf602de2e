"""Requests that our functions sent, as our own log tells; `None` where the log does not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bubble_sync.database import Connection, Row
from bubble_sync.questions.messages import readable
from bubble_sync.questions.sight import RESPONSES, Sight
from bubble_sync.statements import query

OUTSTANDING = "outstanding"
GOOD = ("ok", OUTSTANDING)


@dataclass(frozen=True)
class Request:
    """One request and its outcome; the verdict of one without an answer yet is `outstanding`."""

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
    """Until the answer, by the endpoint's clock, which tells seconds alone; of a timeout as pg_net says."""
    processed: int | None
    failed: int | None
    skipped: int
    """Ticks that the overlap guard has held back since."""

    def __str__(self) -> str:
        """Say the verdict and what it rests on."""
        numbers = ((self.processed, "processed"), (self.failed, "failed"), (self.skipped or None, "skipped since"))
        counts = [f"{number} {word}" for number, word in numbers if number is not None]
        facts = [f"HTTP {self.status_code}" if self.status_code else "", self._took(), *counts, self.error]
        said = ", ".join(fact for fact in facts if fact)
        return f"{self.verdict} ({said})" if said else self.verdict

    def _took(self) -> str:
        if self.duration_ms is None:
            return ""
        return f"in {self.duration_ms / 1000:.0f} s" if self.duration_ms >= 1000 else "in under 1 s"


def requests_in(rows: Iterable[Row]) -> tuple[Request, ...]:
    """Read rows of `bubble_sync.dispatches`."""
    return tuple(
        Request(
            function=row.get("function", ""),
            verdict=row["verdict"] or OUTSTANDING,
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


def answers_to(conn: Connection, seen: Sight, requests: Sequence[Request]) -> Mapping[int, Row]:
    """Return the answers to requests of one time by their ids, as long as pg_net remembers them."""
    if not requests or seen.why_not(RESPONSES):
        return {}
    since = min(request.sent_at for request in requests) - timedelta(seconds=1)
    asked = {"ids": [request.request_id for request in requests], "since": since}
    return {row["request_id"]: row for row in conn.execute(query("requests", "answers"), asked).fetchall()}


def with_answers(requests: Sequence[Request], answers: Mapping[int, Row]) -> tuple[Request, ...]:
    """Give requests that the next tick has yet to settle the verdict of what pg_net has."""
    return tuple(
        replace(one, verdict=answer["verdict"], status_code=answer["status_code"])
        if one.verdict == OUTSTANDING and (answer := answers.get(one.request_id))
        else one
        for one in requests
    )


def as_of_now(conn: Connection, seen: Sight, requests: Sequence[Request]) -> tuple[Request, ...]:
    """Do so for those of these requests that are outstanding."""
    return with_answers(requests, answers_to(conn, seen, [one for one in requests if one.verdict == OUTSTANDING]))
