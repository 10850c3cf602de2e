"""Our tables, part by part: what is wanted of each, what is not so, and what mends it.

What the log of requests remembers stays when it is wanted no more. What the alerts have told goes with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from psycopg import sql

from bubble_sync.converge.schema import aside
from bubble_sync.converge.table_parts import LEDGER, WANTED, Part, declared, making
from bubble_sync.database.snapshot import Found, Row
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import ALERTS, DISPATCHES
from bubble_sync.sql_loader import query

PARTS = ("tables",)


def names(said: Collection[str]) -> frozenset[str]:
    """Return the bare names: after an `up` that failed, the state says of a table what was wrong with it then."""
    return frozenset(one.split(" (")[0] for one in said)


def state(said: Collection[str], found: Found) -> tuple[str, ...]:
    """Name the tables that are there, each with what is not as we make it; columns of others may stay.

    Of those that are not wanted it names the one that would be dropped, if it is of our making. The ledger, which is
    always wanted, is named where something is wrong.
    """
    rows, wanted = {row["name"]: row for row in found.rows("tables")}, names(said)
    return tuple(_told(rows[name]) for name in WANTED if name in rows and _concerns(rows[name], wanted))


def _concerns(row: Row, wanted: Collection[str]) -> bool:
    if row["name"] == LEDGER:
        return bool(_wrong(row))
    return row["name"] in wanted or (row["name"] == ALERTS and not _wrong(row))


def refuse(wanted: Collection[str], found: Found) -> None:
    """Raise ForeignObject for what somebody else has added, and for a table that cannot be completed.

    Nothing that holds rows, and nothing of others, is dropped to mend a table.
    """
    for row in found.rows("tables"):
        if row["name"] not in (LEDGER, *wanted):
            continue
        wrong = [*_foreign(row), *(str(part) for part in _missing(row) if _is_of_another_type(part, row))]
        if wrong:
            raise cannot_be_mended(f"is without {', '.join(wrong)}, which cannot be mended", row["name"])
        if added := _added(row):
            steps = " ".join(_removal(row["name"], part).as_string() for part in added)
            raise ForeignObject(
                f"bubble_sync.{row['name']} has {', '.join(map(str, added))}, which is not ours and can keep rows from "
                f"being written: nothing was changed. Where nothing needs it: {steps}"
            )


def cannot_be_mended(what: str, table: str) -> ForeignObject:
    """Return the error for a table that has to make way for a new one."""
    return ForeignObject(f"bubble_sync.{table} {what}; nothing was changed. Put it aside: {aside(table)}")


def statements(wanted: Collection[str], there: Collection[str]) -> list[sql.SQL | sql.Composed]:
    """Return what makes the wanted tables, mends what is there, and drops what is wanted no more."""
    made = {DISPATCHES: sql.SQL(query("tables", "dispatches")), ALERTS: sql.SQL(query("tables", "alerts"))}
    dropped = [sql.SQL(query("dropped", "alerts"))] if ALERTS in there and ALERTS not in wanted else []
    broken = names([one for one in there if " (" in one])
    mended = [_mending(name) for name in (LEDGER, *wanted) if name in broken]
    return [*(made[name] for name in wanted), *mended, *dropped]


def _told(row: Row) -> str:
    without = ", ".join([*_foreign(row), *map(str, _missing(row))])
    added = ", ".join(map(str, _added(row)))
    wrong = [f"{word} {parts}" for word, parts in (("without", without), ("with", added)) if parts]
    return f"{row['name']} ({'; '.join(wrong)})" if wrong else str(row["name"])


def _wrong(row: Row) -> list[object]:
    return [*_foreign(row), *_missing(row), *_added(row)]


def _actual(row: Row) -> list[Part]:
    return [Part(*part) for part in row["parts"] or ()]


def _missing(row: Row) -> list[Part]:
    there = _actual(row)
    return [part for part in WANTED[row["name"]] if part not in there]


def _foreign(row: Row) -> list[str]:
    return [] if row["kind"] == "r" and row["mine"] else [f"being a table of ours (owner {row['owner']})"]


def _is_of_another_type(wanted: Part, row: Row) -> bool:
    actual = next((part for part in _actual(row) if part[:2] == wanted[:2]), None)
    if actual is None or wanted.kind != "column":
        return False
    return declared(actual)["type"] != declared(wanted)["type"] or " generated" in actual.text


def _added(row: Row) -> list[Part]:
    """List what others have added that can keep a row from being written, found or removed."""
    ours = {part[:2] for part in WANTED[row["name"]]}
    return [part for part in _actual(row) if part[:2] not in ours and _can_refuse(part)]


def _can_refuse(part: Part) -> bool:
    if part.kind == "column":
        must_be_filled = " not null" in part.text and not re.search(" (default|identity)", part.text)
        return must_be_filled or " generated" in part.text or " domain" in part.text
    return part.text.startswith("CREATE UNIQUE") if part.kind == "index" else part.kind != "property"


def _removal(table: str, part: Part) -> sql.Composed:
    if part.kind == "column" and " not null" not in part.text:
        part = part._replace(kind="value")
    how = {
        "value": "alter table {table} drop column {name};",
        "column": "alter table {table} alter {name} drop not null;",
        "constraint": "alter table {table} drop constraint {name};",
        "reference": "alter table {text} drop constraint {name};",
        "index": "drop index bubble_sync.{name};",
        "trigger": "drop trigger {name} on {table};",
        "rule": "drop rule {name} on {table};",
        "child": "alter table {bare} no inherit {table};",
    }
    names = {"table": sql.Identifier("bubble_sync", table), "name": sql.Identifier(part.name)}
    # The server has quoted these.
    as_written = {"text": sql.SQL(part.text), "bare": sql.SQL(part.name)}
    return sql.SQL(how[part.kind]).format(**names, **as_written)


def _mending(table: str) -> sql.Composed:
    """Compose what makes the parts of a table that are not there."""
    steps = [{**part._asdict(), "step": making(table, part).as_string()} for part in WANTED[table]]
    return sql.SQL(query("table_parts", "mend")).format(
        steps=sql.Literal(json.dumps(steps, indent=1)), relation=sql.Literal(f"bubble_sync.{table}")
    )
