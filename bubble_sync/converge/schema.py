"""Check the schema `bubble_sync`; a schema of others is never changed."""

from __future__ import annotations

from psycopg import sql

from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.database.table_names import LEDGER_TABLE, SCHEMA
from bubble_sync.errors import ForeignObject

SECTIONS = ("schema",)
_COMMENT = "bubble-sync: private objects of the sync"


def is_ours(snapshot: Snapshot) -> bool:
    """Return whether the schema, and the ledger's name in it, are free or ours."""
    row = _row(snapshot)
    return row is None or bool(row["ours"] and row["ledger"])


def require_our_schema(snapshot: Snapshot) -> None:
    """Raise ForeignObject for an application's schema `bubble_sync`, or its table `ledger`."""
    row = _row(snapshot)
    if row is None or is_ours(snapshot):
        return
    if not row["ours"]:
        held = ", ".join(row["holds"]) or "nothing but a comment or grants of its own"
        raise ForeignObject(
            f"the schema {SCHEMA} is not ours (it holds {held}), and we need the name: nothing was changed. "
            f"Rename yours, and its references: alter schema {SCHEMA} rename to {SCHEMA}_app;"
        )
    raise ForeignObject(
        f"{LEDGER_TABLE} is not our ledger, or has lost its columns object, stack or origin: nothing was changed. "
        f"Put it aside, and `pulumi up` adopts what is there: {aside('ledger')}"
    )


def aside(table: str) -> str:
    """Return the SQL that moves a table to another schema; after a rename, its indexes would still block new ones."""
    there = f"{SCHEMA}_before"
    return f"create schema if not exists {there}; alter table {SCHEMA}.{table} set schema {there};"


def differences(snapshot: Snapshot) -> tuple[str, ...]:
    """List the schema's differences."""
    row = _row(snapshot)
    if row is None:
        return ()
    wrong = {
        f"schema (owner {row['owner']})": not row["mine"],
        "schema (without the rights of its owner)": not row["usable"],
        f"schema (comment {row['comment']!r})": row["comment"] != _COMMENT,
    }
    return tuple(text for text, applies in wrong.items() if applies)


def preflight(snapshot: Snapshot) -> None:
    """Raise ForeignObject when another role owns the schema, since only that role can hand it over."""
    row = _row(snapshot)
    if row is not None and not row["mine"]:
        change = sql.SQL("alter schema bubble_sync owner to {};").format(sql.Identifier(row["role"])).as_string()
        raise ForeignObject(
            f"the schema bubble_sync is owned by {row['owner']}: nothing was changed. As that role: {change}"
        )


def _row(snapshot: Snapshot) -> SnapshotRow | None:
    return next(iter(snapshot.rows("schema")), None)
