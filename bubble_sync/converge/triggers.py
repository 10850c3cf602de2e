"""Converge triggers on the queue: create, enable or disable them, with the sequences of their functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from psycopg import sql

from bubble_sync.database.connection import Verbatim
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.database.table_names import QUEUE_TABLE
from bubble_sync.errors import PrivilegeMissing
from bubble_sync.specs import Observation, TriggerSpec
from bubble_sync.sql_loader import query

SECTIONS = ("triggers",)
_CONSTRAINT = "CONSTRAINT "
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
    there = observed.actual if observed else None
    for statement in _missing_sequences(spec, there):
        conn.execute(statement)
    statements = list(_changes(spec, there))
    if there is None or (there.definition, there.enabled) != (spec.definition, spec.enabled):
        statements.insert(0, _lock("access exclusive" if _needs_drop(spec, there) else "share row exclusive"))
    if statements:
        # One message: while the queue is locked, no time passes on the way.
        conn.execute(sql.SQL("\n").join(statements))


def changes_to(spec: TriggerSpec, there: TriggerSpec | None) -> Iterator[sql.Composed]:
    """Yield the statements that turn `there` into `spec`."""
    yield from _missing_sequences(spec, there)
    yield from _changes(spec, there)


def _missing_sequences(spec: TriggerSpec, there: TriggerSpec | None) -> Iterator[sql.Composed]:
    for sequence in spec.sequences:
        if there is None or sequence not in there.sequences:
            named = {"sequence": sql.Identifier(sequence), "name": sql.Literal(sequence)}
            yield sql.SQL(query("triggers", "sequence")).format(**named)


def _changes(spec: TriggerSpec, there: TriggerSpec | None) -> Iterator[sql.Composed]:
    enabled = there.enabled if there else "origin"
    if there is None or there.definition != spec.definition:
        if _needs_drop(spec, there):
            yield _filled("drop", spec)
        yield _filled("create", spec)
        enabled = "origin"
    elif there.comment != spec.comment:
        yield _filled("comment", spec)
    if enabled != spec.enabled:
        yield _filled("enable", spec)


def _needs_drop(spec: TriggerSpec, there: TriggerSpec | None) -> bool:
    """Return whether PostgreSQL cannot replace the trigger, and must drop it under a stronger lock."""
    return there is not None and any(one.definition.startswith(_CONSTRAINT) for one in (spec, there))


def retention_reason(conn: Connection, spec: TriggerSpec) -> str | None:
    """Return None: nothing depends on a trigger."""
    return None


def remove(conn: Connection, spec: TriggerSpec, observed: Observation[TriggerSpec]) -> None:
    """Drop the trigger and its sequences."""
    conn.execute(sql.SQL("\n").join([_lock("access exclusive"), *removal(spec)]))


def restoration(spec: TriggerSpec, there: TriggerSpec | None) -> Iterator[sql.Composed]:
    """Yield the statements that turn `spec` back into `there`."""
    return removal(spec) if there is None else changes_to(there, spec)


def removal(spec: TriggerSpec) -> Iterator[sql.Composed]:
    """Yield the statements that drop the trigger and its sequences."""
    yield _filled("drop", spec)
    for sequence in spec.sequences:
        yield sql.SQL(query("triggers", "drop_sequence")).format(sequence=sql.Identifier(sequence))


def _lock(mode: LiteralString) -> sql.Composed:
    return sql.SQL(query("triggers", "lock")).format(mode=sql.SQL(mode))


def _filled(name: str, spec: TriggerSpec) -> sql.Composed:
    return sql.SQL(query("triggers", name)).format(
        kind=sql.SQL("constraint trigger" if spec.definition.startswith(_CONSTRAINT) else "or replace trigger"),
        name=sql.Identifier(spec.name),
        # From our own declaration, or as the server prints it.
        definition=Verbatim(spec.definition.removeprefix(_CONSTRAINT)),
        comment=sql.Literal(spec.comment) if spec.comment else sql.SQL("null"),
        how=sql.SQL(_ENABLING[spec.enabled]),
    )


def _row(spec: TriggerSpec, snapshot: Snapshot) -> SnapshotRow | None:
    return next((row for row in snapshot.rows("triggers") if row["name"] == spec.name), None)
