"""Requests that our functions sent, as our own log tells; `None` where the log does not say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.database import Row
from bubble_sync.questions.messages import readable

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
    processed: int | None
    failed: int | None

    def __str__(self) -> str:
        """Say the verdict and what it rests on."""
        counts = [f"{number} {word}" for number, word in ((self.processed, "processed"), (self.failed, "failed"))
                  if number is not None]  # fmt: skip
        facts = [f"HTTP {self.status_code}" if self.status_code else "", *counts, self.error]
        said = ", ".join(fact for fact in facts if fact)
        return f"{self.verdict} ({said})" if said else self.verdict


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
                    "runid", "request_id", "waiting", "sent_at", "settled_at", "status_code", "processed", "failed",
                )
            },
        )
        for row in rows
    )  # fmt: skip
