"""Put items back in the queue: failed ones, and stalled ones that no worker finished; or discard failed ones.

A plan is read and shown first, then applied to the items that are unchanged since. Items belong to the application:
the set-up does not change, and only their rows are locked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from psycopg import errors

from bubble_sync.config.settings import NameSettings
from bubble_sync.database.database import Connection, Database, Row, attempt
from bubble_sync.database.table_names import DISPATCH_TABLE, QUEUE_TABLE, REQUEST_TABLE, RESPONSE_TABLE
from bubble_sync.errors import Busy, PrerequisiteMissing, SyncError
from bubble_sync.formatting import format_timestamp
from bubble_sync.records import visibility
from bubble_sync.records.messages import readable
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.sql_loader import query

# What stands for any text in a filter: a wildcard, and what `failures` prints in place of a value.
_ANY_TEXT = re.compile(r"\*|\[(?:email|secret|id|number)\]")
# SQLSTATE classes of errors in a row: its data, a constraint, a trigger's own error.
_OF_ROWS = ("22", "23", "27", "38", "39", "44", "P0")
# SQLSTATE classes about no item: connection, read-only transaction, race, resources, locks, server shutdown.
_OF_THE_SERVER = ("08", "25", "40", "53", "55", "57", "58", "XX")
# The place where an error was raised; the statement behind it is left out, since it may hold values.
_RAISED_IN = re.compile(r"PL/pgSQL function ([\w.\"]+\([^)]*\)) line \d+")


def about_a_row(problem: errors.DatabaseError) -> bool:
    """Return whether the next item may still succeed after this error."""
    state = problem.sqlstate or ""
    # A trigger may refuse some items only, with any SQLSTATE.
    raised = bool(_RAISED_IN.search(problem.diag.context or "")) and not state.startswith(_OF_THE_SERVER)
    return raised or state.startswith(_OF_ROWS)


def why_refused(problem: errors.DatabaseError) -> str:
    """Return the cause and the remedy of a refusal; the server's text may quote values."""
    diagnosis = problem.diag
    if isinstance(problem, errors.UniqueViolation | errors.ExclusionViolation):
        name = diagnosis.constraint_name or "a constraint"
        return f"conflict: {name} allows no second such item; requeue it when the other one is done"
    raised = _RAISED_IN.search(diagnosis.context or "")
    if diagnosis.constraint_name:
        what = f"constraint {diagnosis.constraint_name}"
    elif diagnosis.column_name:
        what = f"column {diagnosis.column_name}, which must not be null,"
    elif raised:
        what = f"a trigger (function {raised[1]})"
    else:
        what = "a constraint or a trigger of the queue"
    return f"{what} refuses it (SQLSTATE {problem.sqlstate}); mend that or the item, then run the command again"


@dataclass(frozen=True)
class Transition:
    """One transition: its query in requeue.sql, the status required, and the new column values."""

    name: str
    from_status: str
    becomes: Mapping[str, str]
    then: str

    def named(self, names: NameSettings) -> Transition:
        """Return the transition with a stack's names of jobs."""
        return replace(self, then=names.render(self.then))


REQUEUE = Transition(
    "requeue",
    "failed",
    {
        "status": "failed -> pending",
        "retry_count": "0: all attempts are available again",
        "next_retry_at": "null",
        "error_message": "null: the error above is removed",
    },
    "the next run of bubble-sync-processor",
)
REQUEUE_FOR_RETRY = Transition(
    "requeue_for_retry",
    "failed",
    {
        "status": "failed, unchanged: no run takes pending items of this operation",
        "retry_count": "0: all attempts are available again",
        "next_retry_at": "now",
        "error_message": "null: the error above is removed",
    },
    "the next run of bubble-sync-retry",
)
REQUEUE_DISCARDED, REQUEUE_DISCARDED_FOR_RETRY = (
    replace(each, from_status="skipped", becomes={**each.becomes, "status": f"skipped -> {then}"})
    for each, then in ((REQUEUE, "pending"), (REQUEUE_FOR_RETRY, "failed"))
)
DISCARD = Transition(
    "discard",
    "failed",
    {"status": "failed -> skipped"},
    "no run takes the items; `bubble-sync requeue ID` puts one back",
)
RELEASE = Transition(
    "release",
    "processing",
    {
        "status": "processing -> failed",
        "retry_count": "1 more: the unfinished attempt counts",
        "next_retry_at": "now",
        "error_message": "a note about the release",
    },
    "the next run of bubble-sync-retry; without an attempt left, `bubble-sync requeue --dead`",
)
RELEASE_CLAIMED = replace(
    RELEASE,
    name="release_claimed",
    becomes={**RELEASE.becomes, "claim_token, claimed_until": "null: the claim of a late worker is void"},
)


@dataclass(frozen=True)
class Filters:
    """What selects failed items when no ids are given; None selects any."""

    dead: bool = True
    """With no attempt left only."""
    error: str | None = None
    """Text of the message in any case; `*`, and what `failures` redacts, stand for any text."""
    operation: str | None = None
    since: timedelta | None = None
    """Queued within this time."""
    limit: int | None = None

    @property
    def pattern(self) -> str | None:
        """Return the pattern of LIKE for the message."""
        if self.error is None:
            return None
        parts = (re.sub(r"([\\%_])", r"\\\1", part) for part in _ANY_TEXT.split(self.error))
        return f"%{'%'.join(parts)}%"


@dataclass(frozen=True)
class RequeueItem:
    """One item as found."""

    id: str
    operation: str | None
    record_id: str
    error: str
    retry_count: int | None
    max_retries: int | None
    created_at: datetime


@dataclass(frozen=True)
class Batch:
    """Items of one transition, oldest first."""

    transition: Transition
    items: tuple[RequeueItem, ...]


@dataclass(frozen=True)
class Skipped:
    """A skipped item with the reason."""

    id: str
    why: str


@dataclass(frozen=True)
class Plan:
    """The planned changes."""

    batches: tuple[Batch, ...]
    skipped: tuple[Skipped, ...]
    unknown: Mapping[str, str]

    @property
    def items(self) -> int:
        """Count the items."""
        return sum(len(batch.items) for batch in self.batches)


@dataclass(frozen=True)
class RequeueResult:
    """The changes made."""

    changed: tuple[str, ...]
    skipped: tuple[Skipped, ...]


MOST = 10_000
"""Items in a plan at most, oldest first."""
_CHUNK = 500
"""Items changed by one transaction at most."""


def carry_out(database: Database, plan: Plan) -> RequeueResult:
    """Apply a plan to the items that are still as they were, one batch per transaction.

    An error after the first batch is the reason for the remaining items; earlier batches stay changed.
    """
    changed: list[str] = []
    skipped: list[Skipped] = []
    chunks = [(batch.transition, ids) for batch in plan.batches for ids in _chunks(batch)]
    for number, (transition, ids) in enumerate(chunks):
        try:
            done, left = _apply_chunk(database, transition, ids)
        except SyncError as problem:
            if not changed:
                raise
            skipped += [Skipped(one, f"not reached: {problem}") for _, rest in chunks[number:] for one in rest]
            break
        changed += done
        skipped += left
    return RequeueResult(tuple(changed), tuple(skipped))


def _chunks(batch: Batch) -> Iterator[list[str]]:
    for start in range(0, len(batch.items), _CHUNK):
        yield [item.id for item in batch.items[start : start + _CHUNK]]


def _apply_chunk(database: Database, transition: Transition, ids: Sequence[str]) -> tuple[list[str], list[Skipped]]:
    with database.operation("putting items back") as conn:
        if transition.from_status == RELEASE.from_status:
            _require_none_under_way(conn, visibility.probe_visibility(conn))
        # A deferred constraint or trigger would refuse the whole batch at commit.
        conn.execute(query("requeue", "refuse_at_once"))
        done, refused = _put_back(conn, transition, ids)
        left = [one for one in ids if one not in {*done, *refused}]
        rows = conn.execute(query("requeue", "standing"), {"ids": left}).fetchall() if left else []
        statuses = {row["id"]: row["status"] for row in rows}
        refused |= {one: _why(transition, statuses.get(one)) for one in left}
        return done, [Skipped(one, why) for one, why in refused.items()]


@in_one_read("reading failed items")
def requeue_plan(
    conn: Connection, visible: Visibility, ids: Sequence[str] | None, filters: Filters = Filters()
) -> Plan:
    """Find the items of these ids, discarded ones too, or without ids the oldest failed ones of the filters."""
    kinds = (
        (REQUEUE, True), (REQUEUE_FOR_RETRY, False),
        (REQUEUE_DISCARDED, True), (REQUEUE_DISCARDED_FOR_RETRY, False),
    )  # fmt: skip
    return _planned(conn, visible, ids, filters, kinds)


@in_one_read("reading failed items")
def discard_plan(
    conn: Connection, visible: Visibility, ids: Sequence[str] | None, filters: Filters = Filters()
) -> Plan:
    """Find the failed items of these ids, or without ids the oldest of the filters."""
    return _planned(conn, visible, ids, filters, ((DISCARD, None),))


def _planned(
    conn: Connection,
    visible: Visibility,
    ids: Sequence[str] | None,
    filters: Filters,
    kinds: Sequence[tuple[Transition, bool | None]],
) -> Plan:
    """Plan each transition of the items that the processor takes, that it does not, or with None of both."""
    _require_queue(visible)
    wanted = None if ids is None else list(dict.fromkeys(ids))
    asked = {
        "ids": wanted, "dead": filters.dead, "pattern": filters.pattern, "operation": filters.operation,
        "since": filters.since, "most": min(filters.limit or MOST, MOST),
    }  # fmt: skip
    rows = conn.execute(query("requeue", "failed"), asked).fetchall()
    batches = [
        Batch(
            transition.named(visible.names),
            tuple(
                _item(row)
                for row in rows
                if row["status"] == transition.from_status and drained in (None, row["drained"])
            ),
        )
        for transition, drained in kinds
    ]
    statuses = {row["id"]: row["status"] for row in rows}
    skipped = [
        Skipped(one, _why(kinds[0][0], statuses.get(one)))
        for one in wanted or ()
        if statuses.get(one) not in {transition.from_status for transition, _ in kinds}
    ]
    return Plan(tuple(batch for batch in batches if batch.items), tuple(skipped), {})


@in_one_read("reading items in processing")
def release_plan(conn: Connection, visible: Visibility, older_than: timedelta | None) -> Plan:
    """Find items in processing for too long; raise Busy while a request may work on them."""
    _require_queue(visible)
    rows = conn.execute(query("requeue", "stalled"), {"older_than": older_than, "most": MOST}).fetchall()
    unknown = _require_none_under_way(conn, visible) if rows else {}
    if not rows:
        return Plan((), (), unknown)
    transition = RELEASE_CLAIMED if conn.execute(query("requeue", "claims")).fetchone() else RELEASE
    return Plan((Batch(transition.named(visible.names), tuple(map(_item, rows))),), (), unknown)


def _item(row: Row) -> RequeueItem:
    kept = ("id", "operation", "record_id", "retry_count", "max_retries", "created_at")
    return RequeueItem(error=readable(row["error_message"]), **{name: row[name] for name in kept})


def _require_queue(visible: Visibility) -> None:
    if why := visible.why_unreadable(QUEUE_TABLE):
        raise PrerequisiteMissing(f"{why}: nothing was changed. Connect as a role that sees every item.")


def _require_none_under_way(conn: Connection, visible: Visibility) -> Mapping[str, str]:
    """Raise Busy while a request may work on items; return what was unreadable."""
    unknown: dict[str, str] = {}
    if why := visible.why_unreadable(DISPATCH_TABLE, RESPONSE_TABLE):
        unknown["requests"] = why
    elif row := conn.execute(query("requeue", "logged")).fetchone():
        raise Busy(
            f"request {row['request_id']} has no answer yet, and may be working on these items: they stay as they are. "
            f"Run again after {format_timestamp(row['until'])}, or when it is answered."
        )
    if why := visible.why_unreadable(REQUEST_TABLE):
        unknown["queued requests"] = why
    elif row := conn.execute(query("requeue", "queued")).fetchone():
        raise Busy(
            f"request {row['request_id']} is with pg_net, and may be working on these items: they stay as they are. "
            "Run again when it is answered."
        )
    return unknown


def _put_back(conn: Connection, transition: Transition, ids: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Change the items still in the required status; return them, and refused items with the reasons.

    A refused item undoes its whole statement, so each half is tried again alone, the older half first.
    """
    try:
        asked = {"ids": list(ids), "from_status": transition.from_status}
        return [row["id"] for row in attempt(conn, query("requeue", transition.name), asked)], {}
    except errors.DatabaseError as problem:
        if not about_a_row(problem):
            raise
        if len(ids) == 1:
            return [], {ids[0]: why_refused(problem)}
    half = len(ids) // 2
    (first, some), (second, others) = (_put_back(conn, transition, part) for part in (ids[:half], ids[half:]))
    return first + second, some | others


def _why(transition: Transition, status: str | None) -> str:
    if status is None:
        return "there is no such item"
    if status == transition.from_status:
        return "another session holds it, or a trigger leaves it as it is"
    return f"it is {status}"
