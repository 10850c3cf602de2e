"""Await the steps of one sign-up, and collect evidence for each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from bubble_sync.database.polling import poll
from bubble_sync.errors import PlatformError
from bubble_sync.local.platform import Platform, SignUp
from bubble_sync.local.scripts import script

_GIVE_UP_AFTER_TICK_SECONDS = 10


@dataclass(frozen=True)
class Evidence:
    """Database facts about one item."""

    status: str
    created_at: datetime
    processed_at: datetime | None
    user_bubble_id: str | None
    host_bubble_id: str | None
    guest_bubble_id: str | None
    runid: str | None
    run_at: datetime | None
    request_id: str | None
    status_code: int | None
    woken_at: datetime | None

    def proven(self, *, wake: bool) -> bool:
        """Return whether our job's run, or with `wake` the insert itself, completed the item with all three ids."""
        ids = (self.user_bubble_id, self.host_bubble_id, self.guest_bubble_id)
        cause = self.woken_at is not None and self.runid is None if wake else self.runid is not None
        return self.status == "completed" and cause and self.status_code == 200 and all(ids)


class DemoStep(NamedTuple):
    """One line of the timeline; seconds count from the sign-up."""

    what: str
    at: datetime | None
    seconds: float | None
    evidence: str


def wait_for(platform: Platform, signed_up: SignUp, jobid: str, *, wake: bool) -> Evidence:
    """Poll until all steps are proven, the item failed, or the next tick has passed; return the last evidence."""
    asked = {"jobid": jobid, "item_id": signed_up.item_id}
    longest = 60 - time.time() % 60 + _GIVE_UP_AFTER_TICK_SECONDS
    with (
        psycopg.connect(platform.addresses().admin_url, autocommit=True) as connection,
        connection.cursor(row_factory=class_row(Evidence)) as cursor,
    ):

        def look() -> Evidence:
            evidence = cursor.execute(script("evidence"), asked).fetchone()
            if evidence is None:
                raise PlatformError(f"item {signed_up.item_id} has left the queue: was another demo running?")
            return evidence

        return poll(look, lambda evidence: evidence.proven(wake=wake) or evidence.status == "failed", longest)


def timeline(evidence: Evidence, signed_up: SignUp, jobid: str, request_log: Path, *, wake: bool) -> list[DemoStep]:
    """List the steps with their evidence."""
    request = _request_of(signed_up.item_id, request_log)
    requested_at = datetime.fromisoformat(str(request["time"])) if request else None
    logged = f"{request['method']} {request['path']} -> {request['status']}" if request else "no request came"
    run = f"run {evidence.runid} of job {jobid}" if evidence.runid else f"no run of job {jobid} succeeded"
    ids = (evidence.user_bubble_id, evidence.host_bubble_id, evidence.guest_bubble_id)
    filled = f"{sum(map(bool, ids))} of {len(ids)} bubble_ids are filled"
    steps = [
        ("queued", evidence.created_at, f"item {signed_up.item_id}"),
        ("woken", evidence.woken_at, "the insert queued the request") if wake else ("cron ran", evidence.run_at, run),
        ("requested", requested_at, logged),
        ("finished", evidence.processed_at, f"{evidence.status}; {filled}"),
    ]
    start = evidence.created_at
    return [DemoStep(what, at, (at - start).total_seconds() if at else None, text) for what, at, text in steps]


def _request_of(item_id: str, request_log: Path) -> dict[str, Any] | None:
    lines = request_log.read_text(encoding="utf-8").splitlines() if request_log.exists() else []
    requests: Iterator[dict[str, Any]] = (json.loads(line) for line in reversed(lines))
    return next((request for request in requests if item_id in request.get("items", ())), None)
