"""Run the processor now: the job's own command, as the connecting role.

A job that was changed by hand runs its changed command, as it does each minute.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import errors

from bubble_sync.config.settings import ProcessorSettings
from bubble_sync.database.database import Connection, Database, Row
from bubble_sync.database.table_names import JOB_TABLE, QUEUE_TABLE
from bubble_sync.errors import PrerequisiteMissing, ServerRefused
from bubble_sync.health.status import queue_stats_of
from bubble_sync.model.jobs import PROCESSOR, ManagedJob
from bubble_sync.records.messages import readable
from bubble_sync.records.requests import SentRequest
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

_REQUEST = re.compile(r"request ID: (\d+)")
SENT, NOTHING, SKIPPED, NOT_SENT, UNKNOWN = "sent", "nothing to do", "skipped", "not sent", "unknown"


@dataclass(frozen=True)
class Items:
    """The queue before or after a run."""

    by_status: Mapping[str, int]
    waiting: int


@dataclass(frozen=True)
class Prepared:
    """The command to run, with notes for the operator."""

    command: str
    jobid: int | None
    notes: tuple[str, ...]
    items: Items | None
    unknown: Mapping[str, str]
    processor: ManagedJob[ProcessorSettings]
    """With the names of the stack."""


@dataclass(frozen=True)
class Notice:
    """A message of the command, redacted."""

    severity: str
    text: str


@dataclass(frozen=True)
class Ran:
    """The result of the command, from its messages, with the requests that it sent."""

    outcome: str
    notices: tuple[Notice, ...]
    requests: tuple[SentRequest, ...]


def run_command(database: Database, prepared: Prepared, stack: str, tell: Callable[[Notice], None]) -> Ran:
    """Run the command in one transaction, streaming its messages; pg_net sends after the commit."""
    notices: list[Notice] = []

    def listen(notice: errors.Diagnostic) -> None:
        notices.append(Notice(notice.severity_nonlocalized or "", readable(notice.message_primary)))
        tell(notices[-1])

    with database.operation("running the processor's command") as conn, _refusals(prepared, stack):
        conn.add_notice_handler(listen)
        try:
            # Bytes, because psycopg takes only literal strings as SQL.
            conn.execute(prepared.command.encode())
        finally:
            conn.remove_notice_handler(listen)
        row = conn.execute(query("run_now", "now")).fetchone()
    outcome, ids = run_outcome(notices)
    if row is None:
        return Ran(outcome, tuple(notices), ())
    waiting = prepared.items.waiting if prepared.items else 0
    sent = (SentRequest(prepared.processor.sender, one, waiting, row["now"]) for one in ids)
    return Ran(outcome, tuple(notices), tuple(sent))


def run_outcome(notices: list[Notice]) -> tuple[str, tuple[int, ...]]:
    """Return the result and the requests' ids from our function's messages, or the guide's."""
    if ids := tuple(int(found[1]) for one in notices if (found := _REQUEST.search(one.text))):
        return SENT, ids
    for one in notices:
        if "No pending items" in one.text:
            return NOTHING, ()
        if one.text.endswith("is unanswered: skipped"):
            return SKIPPED, ()
    return (NOT_SENT if any(one.severity == "WARNING" for one in notices) else UNKNOWN), ()


@in_one_read("looking for the processor's job")
def prepare_run(conn: Connection, visible: Visibility, stack: str) -> Prepared:
    """Find the command and count waiting items; raise PrerequisiteMissing when there is nothing to run."""
    why_items = visible.why_unreadable(QUEUE_TABLE)
    known = _items(conn, visible), {"items": why_items} if why_items else {}
    why = visible.why_unreadable(JOB_TABLE)
    rows = [] if why else conn.execute(query("run_now", "jobs")).fetchall()
    processor = PROCESSOR.named(visible.names)
    notes = [_left_alone(row, processor.name) for row in rows if not _ours(row)]
    for row in filter(_ours, rows):
        if not row["active"]:
            notes.append(f"job {processor.name} is not active: pg_cron does not run it")
        if row["command"] != processor.command:
            notes.append(f"job {processor.name} has another command than `pulumi up` gives it")
        return Prepared(row["command"], row["jobid"], tuple(notes), *known, processor)
    why = why or visible.why_no_job() or f"the connecting role has no job {processor.name} here"
    there = conn.execute(query("run_now", "function")).fetchone()
    if there is None or not there["there"]:
        raise _nothing_to_run(f"{why}, and there is no function {processor.function}()", stack)
    notes.append(f"{why}: calling the function")
    call = visible.names.render(query("run_now", "call")).removesuffix(";")
    return Prepared(call, None, tuple(notes), *known, processor)


def _ours(job: Row) -> bool:
    return bool(job["mine"] and job["here"])


def _left_alone(job: Row, name: str) -> str:
    # Another role's command would run with our rights.
    whose = f"runs in the database {job['database']}" if job["mine"] else f"is the role {job['username']}'s"
    return f"job {name} (jobid {job['jobid']}) {whose}: its command is not run"


def _items(conn: Connection, visible: Visibility) -> Items | None:
    """Count the items by status; None without a full view."""
    if visible.why_unreadable(QUEUE_TABLE):
        return None
    groups = conn.execute(query("items", "by_status")).fetchall()
    by_status: Counter[str] = Counter()
    for group in groups:
        by_status[group["status"]] += group["count"]
    return Items(dict(by_status), queue_stats_of(groups, visible.asked_at).waiting)


count_items = in_one_read("counting the items")(_items)


def _nothing_to_run(what: str, stack: str) -> PrerequisiteMissing:
    return PrerequisiteMissing(
        f"{what}: nothing was run. `pulumi up` makes what is missing; `bubble-sync diff --sql --stack {stack}` prints "
        "the SQL for it."
    )


@contextmanager
def _refusals(prepared: Prepared, stack: str) -> Iterator[None]:
    """Return the command's error, redacted unless known to hold no value."""
    processor = prepared.processor
    try:
        yield
    except errors.UndefinedFunction:
        if prepared.jobid is not None and prepared.command != processor.command:
            # The function may exist outside the role's search_path.
            raise PrerequisiteMissing(
                f"the command of job {processor.name} finds no function of that name in the role's search_path: "
                f"nothing was run. `pulumi up --stack {stack}` gives the job its command, {processor.command}, which "
                "names the schema."
            ) from None
        raise _nothing_to_run("the command calls a function that is not there", stack) from None
    except errors.RaiseException as problem:
        message = problem.diag.message_primary or ""
        if not message.startswith(f"[{processor.sender}] "):
            raise
        raise ServerRefused(f"the run failed, and nothing was sent: {readable(message)}") from None
