"""Trace one item: whether it synced and, if not, where it stopped.

The queue has the times of insertion and completion, but not the request that took the item. The trace shows the first
request after the insertion, which could take the item first, and the last one before the completion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import errors

from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Row, attempt
from bubble_sync.database.table_names import (
    DISPATCH_TABLE,
    JOB_TABLE,
    PEOPLE_TABLES,
    QUEUE_TABLE,
    RUN_TABLE,
    USER_TABLE,
)
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.formatting import format_timestamp
from bubble_sync.model.targets import Target, target_for
from bubble_sync.records.messages import details_in, function_log, readable
from bubble_sync.records.requests import answers_to, moved_on, requests_in, with_answers
from bubble_sync.records.verdicts import BAD
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

IDS = ("user_bubble_id", "host_bubble_id", "guest_bubble_id")


@dataclass(frozen=True)
class TraceStep:
    """One step; `seconds` count from the insertion, and are None for a step without a time."""

    what: str
    detail: str
    at: datetime | None = None
    seconds: float | None = None
    bad: bool = False
    """Whether a run failed, or a request did nothing."""


@dataclass(frozen=True)
class Trace:
    """The steps of one item; `bubble_ids` is None when unreadable or when the item has no record."""

    stack: str
    id: str
    record_id: str
    operation: str
    status: str
    error: str
    retry_count: int | None
    max_retries: int | None
    steps: tuple[TraceStep, ...]
    took_seconds: float | None
    """Time from insertion to completion; None before completion."""
    age_seconds: float
    target: Target
    bubble_ids: Mapping[str, str | None] | None
    function_log: str
    unknown: Mapping[str, str]
    details: Mapping[str, str]
    """What the Edge Function noted, redacted."""

    @property
    def late(self) -> bool:
        """Return whether the item exceeds the limit."""
        return (self.age_seconds if self.took_seconds is None else self.took_seconds) > self.target.limit

    @property
    def refused(self) -> bool:
        """Return whether the newest response, or else the first run, of an item that is not completed was a bad one."""
        runs, responses = ([step for step in self.steps if step.what == what] for what in ("first run", "response"))
        return self.status != "completed" and any(step.bad for step in (responses or runs)[-1:])

    @property
    def synced(self) -> bool:
        """Return whether the item is completed, with no bubble_id known to be empty."""
        return self.status == "completed" and all((self.bubble_ids or {}).values())


def traced(
    conn: Connection,
    visible: Visibility,
    settings: StackSettings,
    stack: str,
    project_ref: str | None,
    wanted: str | None,
) -> Trace | None:
    """Trace an item by email, item id or record id, or the newest sign-up; return None when not found.

    Raises:
        PrerequisiteMissing: The queue, or the table of users, is not there.
        PrivilegeMissing: The role cannot read one of them.
    """
    _require(visible, QUEUE_TABLE)
    item = _item(conn, visible, wanted)
    if item is None:
        return None
    unknown: dict[str, str] = {}
    if item["created_at"] is None:
        unknown["inserted"] = "the item has no created_at"
        item["created_at"] = item["asked_at"]
    done = item["processed_at"] if item["status"] == "completed" else None
    return Trace(
        stack=stack,
        id=item["id"],
        record_id=item["record_id"],
        operation=item["operation"] or "no operation",
        status=item["status"],
        error=readable(item["error_message"]),
        retry_count=item["retry_count"],
        max_retries=item["max_retries"],
        steps=tuple(_steps(conn, visible, item, unknown)),
        took_seconds=(done - item["created_at"]).total_seconds() if done else None,
        age_seconds=(item["asked_at"] - item["created_at"]).total_seconds(),
        target=target_for(settings.processor.schedule),
        bubble_ids=_bubble_ids(conn, visible, item, unknown),
        function_log=function_log(project_ref, visible.names),
        unknown=unknown,
        details=details_in(item["details"]),
    )


trace = in_one_read("reading an item")(traced)


def _require(visible: Visibility, *names: str) -> None:
    if why := visible.why_unreadable(*names):
        absent = any(not visible.present(name) for name in names)
        raise (PrerequisiteMissing if absent else PrivilegeMissing)(f"unknown: {why}")


def _item(conn: Connection, visible: Visibility, wanted: str | None) -> Row | None:
    if wanted is None:
        return next(iter(conn.execute(query("items", "latest_sign_up")).fetchall()), None)
    if "@" in wanted:
        _require(visible, USER_TABLE)
        found = conn.execute(query("items", "person"), {"email": wanted}).fetchall()
        if not found:
            return None
        wanted = found[0]["_id"]
    return next(iter(conn.execute(query("items", "of"), {"wanted": wanted}).fetchall()), None)


def _bubble_ids(
    conn: Connection, visible: Visibility, item: Row, unknown: dict[str, str]
) -> Mapping[str, str | None] | None:
    if item["operation"] != visible.names.operations[0]:
        return None
    if why := visible.why_unreadable(*PEOPLE_TABLES):
        unknown["bubble_ids"] = why
        return None
    try:
        rows = attempt(conn, query("items", "bubble_ids"), {"email": None, **item})
    except errors.UndefinedFunction:
        unknown["bubble_ids"] = "public.user names hosts and guests by another type than their _id has"
        return None
    if not rows:
        unknown["bubble_ids"] = f"public.user has no row with _id {item['record_id']}"
        return None
    return {name: rows[0][name] for name in IDS}


def _steps(conn: Connection, visible: Visibility, item: Row, unknown: dict[str, str]) -> Iterator[TraceStep]:
    """Yield the steps from the insertion on; unknown steps appear under `unknown` only."""
    completed = item["status"] == "completed"
    until = item["processed_at"] if completed and item["processed_at"] else item["asked_at"]
    passed = [("inserted", f"item {item['id']}", item["created_at"], False)]
    if why := visible.why_unreadable(JOB_TABLE, RUN_TABLE):
        unknown["runs"] = why
    else:
        passed += _first_run(conn, item["created_at"], until, unknown)
    if why := visible.why_unreadable(DISPATCH_TABLE):
        unknown["requests"] = why
    else:
        passed += _requests(conn, visible, item["created_at"], until)
    if completed and item["processed_at"]:
        passed.append(("completed", "status completed", item["processed_at"], False))
    for what, detail, at, bad in sorted(passed, key=lambda step: step[2]):
        yield TraceStep(what, detail, at, (at - item["created_at"]).total_seconds(), bad)
    if not completed:
        yield TraceStep(
            "now", _status_in_words(item), item["asked_at"], (item["asked_at"] - item["created_at"]).total_seconds()
        )


def _first_run(
    conn: Connection, since: datetime, until: datetime, unknown: dict[str, str]
) -> Iterator[tuple[str, str, datetime, bool]]:
    for run in conn.execute(query("runs", "around"), {"since": since}).fetchall():
        if not run["reached"]:
            unknown["runs"] = "the item is older than the newest 10,000 runs of all jobs, and no others are read"
        elif run["start_time"] <= until:
            failed = run["status"] == "failed"
            why = f": {readable(run['return_message'])}" if failed else ""
            yield "first run", f"processor's runid {run['runid']}, {run['status']}{why}", run["start_time"], failed


def _requests(
    conn: Connection, visible: Visibility, since: datetime, until: datetime
) -> Iterator[tuple[str, str, datetime, bool]]:
    found = requests_in(conn.execute(query("requests", "around"), {"since": since, "until": until}).fetchall())
    answers = answers_to(conn, visible, found)
    for request in dict.fromkeys(moved_on(conn, visible, with_answers(found, answers))):
        answer = answers.get(request.request_id)
        at = answer["created"] if answer else request.settled_at
        waits = "" if at else f": {request}, no response yet"
        yield "request", f"{request.request_id} of {request.function}, {request.cause}{waits}", request.sent_at, False
        if at:
            noted = "" if answer else " (when it was noted)"
            yield "response", f"{request}{noted}", at, request.verdict in BAD


def _status_in_words(item: Row) -> str:
    if item["status"] != "failed":
        return f"status {item['status']}"
    retry_count, max_retries = item["retry_count"], item["max_retries"]
    if retry_count is None or max_retries is None:
        return "status failed, with no retry_count or no max_retries: no job takes it"
    attempts = f"attempt {retry_count} of {max_retries}"
    if retry_count >= max_retries:
        return f"status failed, {attempts}: no attempt left"
    due = item["next_retry_at"]
    when = f"due at {format_timestamp(due)}" if due and due > item["asked_at"] else "due at the retry's next run"
    return f"status failed, {attempts}, {when}"
