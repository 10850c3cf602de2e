"""Converge triggers on the queue: create, enable or disable them, with the sequences of their functions."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from bubble_sync.database.connection import Verbatim
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.database.table_names import QUEUE_TABLE
from bubble_sync.errors import PrivilegeMissing
from bubble_sync.specs import Observation, TriggerSpec
from bubble_sync.sql_loader import query

SECTIONS = ("triggers",)
_ENABLING = {"origin": "enable", "disabled": "disable", "replica": "enable replica", "always": "enable always"}


def observe(spec: TriggerSpec, snapshot: Snapshot) -> Observation[TriggerSpec] | None:
    """Return the queue's trigger of this name."""
    row = _row(spec, snapshot)
    if row is None or row["definition"] is None:
        return None
    there = [name for name in spec.sequences if name in row["sequences"]]
    actual = {field: row[field] for field in ("definition", "enabled", "comment")}
    return Observation(spec.model_copy(update={**actual, "sequences": tuple(there)}))


def preflight(spec: TriggerSpec, snapshot: Snapshot) -> None:
    """Raise PrivilegeMissing when the queue belongs to another role."""
    row = _row(spec, snapshot)
    if row is not None and not row["mine"]:
        raise PrivilegeMissing(
            f"{spec.object_name}: {QUEUE_TABLE} is owned by {row['owner']}, and only its owner can change triggers: "
            f"nothing was changed. As that role: alter table {QUEUE_TABLE} owner to <the role that runs pulumi>;"
        )


def apply(conn: Connection, spec: TriggerSpec, observed: Observation[TriggerSpec] | None) -> None:
    """Create or change the trigger; an insert waits a moment at most."""
    conn.execute(query("triggers", "brief"))
    for statement in changes_to(spec, observed.actual if observed else None):
        conn.execute(statement)


def changes_to(spec: TriggerSpec, there: TriggerSpec | None) -> Iterator[sql.Composed]:
    """Yield the statements that turn `there` into `spec`."""
    for sequence in spec.sequences:
        if there is None or sequence not in there.sequences:
            named = {"sequence": sql.Identifier(sequence), "name": sql.Literal(sequence)}
            yield sql.SQL(query("triggers", "sequence")).format(**named)
    enabled = there.enabled if there else "origin"
    if there is None or there.definition != spec.definition:
        yield _filled("create", spec)
        enabled = "origin"
    elif there.comment != spec.comment:
        yield _filled("comment", spec)
    if enabled != spec.enabled:
        yield _filled("enable", spec)


def retention_reason(conn: Connection, spec: TriggerSpec) -> str | None:
    """Return None: nothing depends on a trigger."""
    return None


def remove(conn: Connection, spec: TriggerSpec, observed: Observation[TriggerSpec]) -> None:
    """Drop the trigger and its sequences."""
    conn.execute(query("triggers", "brief"))
    for statement in removal(spec):
        conn.execute(statement)


def restoration(spec: TriggerSpec, there: TriggerSpec | None) -> Iterator[sql.Composed]:
    """Yield the statements that turn `spec` back into `there`."""
    return removal(spec) if there is None else changes_to(there, spec)


def removal(spec: TriggerSpec) -> Iterator[sql.Composed]:
    """Yield the statements that drop the trigger and its sequences."""
    yield _filled("drop", spec)
    for sequence in spec.sequences:
        yield sql.SQL(query("triggers", "drop_sequence")).format(sequence=sql.Identifier(sequence))


def _filled(name: str, spec: TriggerSpec) -> sql.Composed:
    return sql.SQL(query("triggers", name)).format(
        name=sql.Identifier(spec.name),
        definition=Verbatim(spec.definition),  # from our own declaration, or as the server prints it
        comment=sql.Literal(spec.comment) if spec.comment else sql.SQL("null"),
        how=sql.SQL(_ENABLING[spec.enabled]),
    )


def _row(spec: TriggerSpec, snapshot: Snapshot) -> SnapshotRow | None:
    return next((row for row in snapshot.rows("triggers") if row["name"] == spec.name), None)
