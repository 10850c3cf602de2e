"""Compare and repair our tables, part by part.

The log of requests stays when no longer wanted; the alerts' table is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from psycopg import sql

from bubble_sync.converge.schema import aside
from bubble_sync.converge.table_parts import LEDGER, WANTED, TablePart, declared, making
from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.database.table_names import SCHEMA
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import ALERTS, DISPATCHES
from bubble_sync.sql_loader import query

SECTIONS = ("tables",)


def names(stored: Collection[str]) -> frozenset[str]:
    """Return the bare table names; the state of a failed `up` also holds the problems."""
    return frozenset(one.split(" (")[0] for one in stored)


def state(stored: Collection[str], snapshot: Snapshot) -> tuple[str, ...]:
    """List the existing tables with their problems; other columns may stay.

    Of the unwanted tables, only our own `alerts` is listed, because `up` drops that table.
    The ledger is listed only with a problem.
    """
    rows, wanted = {row["name"]: row for row in snapshot.rows("tables")}, names(stored)
    return tuple(_describe(rows[name]) for name in WANTED if name in rows and _concerns(rows[name], wanted))


def _concerns(row: SnapshotRow, wanted: Collection[str]) -> bool:
    if row["name"] == LEDGER:
        return bool(_wrong(row))
    return row["name"] in wanted or (row["name"] == ALERTS and not _wrong(row))


def preflight(wanted: Collection[str], snapshot: Snapshot) -> None:
    """Raise ForeignObject for foreign parts of a table, and for a table that cannot be repaired.

    A repair drops no rows and no objects of others.
    """
    for row in snapshot.rows("tables"):
        if row["name"] not in (LEDGER, *wanted):
            continue
        wrong = [*_foreign(row), *(str(part) for part in _missing(row) if _is_of_another_type(part, row))]
        if wrong:
            raise cannot_be_mended(f"is without {', '.join(wrong)}, which cannot be repaired", row["name"])
        if added := _added(row):
            steps = " ".join(_removal(row["name"], part).as_string() for part in added)
            raise ForeignObject(
                f"{SCHEMA}.{row['name']} has {', '.join(map(str, added))}, which is not ours and can block "
                f"writes: nothing was changed. If unused, remove: {steps}"
            )


def cannot_be_mended(what: str, table: str) -> ForeignObject:
    """Return the error for a table that must be moved out of the way."""
    return ForeignObject(f"{SCHEMA}.{table} {what}; nothing was changed. Put it aside: {aside(table)}")


def statements(wanted: Collection[str], there: Collection[str]) -> list[sql.SQL | sql.Composed]:
    """Return the statements that create or repair the wanted tables, and drop unwanted ones."""
    made = {DISPATCHES: sql.SQL(query("tables", "dispatches")), ALERTS: sql.SQL(query("tables", "alerts"))}
    dropped = [sql.SQL(query("dropped", "alerts"))] if ALERTS in there and ALERTS not in wanted else []
    broken = names([one for one in there if " (" in one])
    mended = [_mending(name) for name in (LEDGER, *wanted) if name in broken]
    return [*(made[name] for name in wanted), *mended, *dropped]


def _describe(row: SnapshotRow) -> str:
    without = ", ".join([*_foreign(row), *map(str, _missing(row))])
    added = ", ".join(map(str, _added(row)))
    wrong = [f"{word} {parts}" for word, parts in (("without", without), ("with", added)) if parts]
    return f"{row['name']} ({'; '.join(wrong)})" if wrong else str(row["name"])


def _wrong(row: SnapshotRow) -> list[object]:
    return [*_foreign(row), *_missing(row), *_added(row)]


def _actual(row: SnapshotRow) -> list[TablePart]:
    return [TablePart(*part) for part in row["parts"] or ()]


def _missing(row: SnapshotRow) -> list[TablePart]:
    there = _actual(row)
    return [part for part in WANTED[row["name"]] if part not in there]


def _foreign(row: SnapshotRow) -> list[str]:
    return [] if row["kind"] == "r" and row["mine"] else [f"being a table of ours (owner {row['owner']})"]


def _is_of_another_type(wanted: TablePart, row: SnapshotRow) -> bool:
    actual = next((part for part in _actual(row) if part[:2] == wanted[:2]), None)
    if actual is None or wanted.kind != "column":
        return False
    return declared(actual)["type"] != declared(wanted)["type"] or " generated" in actual.text


def _added(row: SnapshotRow) -> list[TablePart]:
    """List foreign parts that can block writing, finding or removing a row."""
    ours = {part[:2] for part in WANTED[row["name"]]}
    return [part for part in _actual(row) if part[:2] not in ours and _can_refuse(part)]


def _can_refuse(part: TablePart) -> bool:
    if part.kind == "column":
        must_be_filled = " not null" in part.text and not re.search(" (default|identity)", part.text)
        return must_be_filled or " generated" in part.text or " domain" in part.text
    return part.text.startswith("CREATE UNIQUE") if part.kind == "index" else part.kind != "property"


def _removal(table: str, part: TablePart) -> sql.Composed:
    if part.kind == "column" and " not null" not in part.text:
        part = part._replace(kind="value")
    how = {
        "value": "alter table {table} drop column {name};",
        "column": "alter table {table} alter {name} drop not null;",
        "constraint": "alter table {table} drop constraint {name};",
        "reference": "alter table {text} drop constraint {name};",
        "index": "drop index {schema}.{name};",
        "trigger": "drop trigger {name} on {table};",
        "rule": "drop rule {name} on {table};",
        "child": "alter table {bare} no inherit {table};",
    }
    names = {"table": sql.Identifier(SCHEMA, table), "name": sql.Identifier(part.name)}
    # Already quoted by the server.
    as_written = {"text": sql.SQL(part.text), "bare": sql.SQL(part.name)}
    return sql.SQL(how[part.kind]).format(**names, **as_written, schema=sql.SQL(SCHEMA))


def _mending(table: str) -> sql.Composed:
    """Compose the statements that add a table's missing parts."""
    steps = [{**part._asdict(), "step": making(table, part).as_string()} for part in WANTED[table]]
    return sql.SQL(query("table_parts", "mend")).format(
        steps=sql.Literal(json.dumps(steps, indent=1)), relation=sql.Literal(f"{SCHEMA}.{table}")
    )
