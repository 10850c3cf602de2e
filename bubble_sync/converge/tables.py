"""Declare the parts of our tables, compare them with the actual ones, and repair them part by part.

The log of requests stays when no longer wanted; the alerts' table is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from psycopg import sql

from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.database.table_names import SCHEMA
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import ALERTS, DISPATCHES
from bubble_sync.sql_loader import query

SECTIONS = ("tables",)
LEDGER = "ledger"


class TablePart(NamedTuple):
    """One part of a table, in the server's notation."""

    kind: str
    name: str
    text: str = ""

    def __str__(self) -> str:
        """Return the part's name; for a column, its declaration."""
        if self.kind == "property":
            return self.name
        return f"{self.kind} {self.name} {self.text if self.kind in ('column', 'reference') else ''}".rstrip()


_TIMESTAMP = "timestamp with time zone not null default"
_WORDS = (
    "ok", "answered", "partial", "refused by its body", "not the function''s answer", "rejected", "timed out", "lost",
)  # fmt: skip
_VERDICTS = ", ".join(f"'{word}'::text" for word in _WORDS)
_BY_SENDING = f"{SCHEMA}.{DISPATCHES} USING btree"
# The privileges come first: every other repair needs them.
_PROPERTIES = tuple(
    TablePart("property", name)
    for name in ("rights of its owner", "write-ahead log", "replica identity", "sight of every row")
)


def _parts(*declared: str) -> tuple[TablePart, ...]:
    return (*_PROPERTIES, *(TablePart(*one.split(" ", 2)) for one in declared))


WANTED: Mapping[str, tuple[TablePart, ...]] = MappingProxyType(
    {
        # `place` and `claim` are later additions, added at their first write.
        LEDGER: _parts(
            "column object text not null",
            "column stack text not null",
            "column project_ref text",
            "column origin text not null",
            "column recorded_at timestamp with time zone not null default now()",
            "constraint ledger_pkey PRIMARY KEY (object)",
            "constraint ledger_origin_check CHECK ((origin = ANY (ARRAY['made'::text, 'adopted'::text])))",
        ),
        DISPATCHES: _parts(
            "column dispatch_id bigint not null identity",
            "column function text not null default ''::text",
            "column runid bigint",
            "column waiting integer not null default 0",
            "column request_id bigint not null default 0",
            "column sent_at timestamp with time zone not null default clock_timestamp()",
            "column skipped integer not null default 0",
            "column settled_at timestamp with time zone",
            "column status_code integer",
            "column duration_ms integer",
            "column error text",
            "column processed integer",
            "column failed integer",
            "column verdict text",
            "constraint dispatches_pkey PRIMARY KEY (dispatch_id)",
            f"constraint dispatches_verdict_check CHECK ((verdict = ANY (ARRAY[{_VERDICTS}])))",
            f"index dispatches_outstanding CREATE INDEX dispatches_outstanding ON {_BY_SENDING} (dispatch_id) "
            "WHERE (settled_at IS NULL)",
            f"index dispatches_sent_at CREATE INDEX dispatches_sent_at ON {_BY_SENDING} (sent_at)",
        ),
        ALERTS: _parts(
            "column only_row boolean not null default true",
            "column failed bigint",
            "column failed_items bigint not null default 0",
            "column newly_failed bigint not null default 0",
            "column failed_before bigint not null default 0",
            "column depths bigint[] not null default '{}'::bigint[]",
            "column last_rejected bigint not null default 0",
            "column holding text[] not null default '{}'::text[]",
            "column posts jsonb not null default '{}'::jsonb",
            *(
                f"column {one}_told {_TIMESTAMP} '-infinity'::timestamp with time zone"
                for one in ("failures", "growing", "oldest", "rejected", "pause")
            ),
            *(f"column {one}_told {_TIMESTAMP} now()" for one in ("daily", "weekly")),
            "constraint alerts_pkey PRIMARY KEY (only_row)",
            "constraint alerts_only_row_check CHECK (only_row)",
        ),
    }
)
_MAKING: Mapping[str, str] = MappingProxyType(
    {
        "rights of its owner": "grant all on table {table} to current_user;",
        "write-ahead log": "alter table {table} set logged;",
        "replica identity": "alter table {table} replica identity default;",
        "sight of every row": "alter table {table} no force row level security;",
        "constraint": "alter table {table} drop constraint if exists {name}, add constraint {name} {text};",
        "index": "drop index if exists {index}; {text};",
    }
)
_DECLARED = re.compile(r"(?P<type>.+?)(?P<filled> not null)?(?: default (?P<default>.+)| (?P<identity>identity.*))?")


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


def aside(table: str) -> str:
    """Return the SQL that moves a table to another schema; after a rename, its indexes would still block new ones."""
    there = f"{SCHEMA}_before"
    return f"create schema if not exists {there}; alter table {SCHEMA}.{table} set schema {there};"


def cannot_be_mended(what: str, table: str) -> ForeignObject:
    """Return the error for a table that must be moved out of the way."""
    return ForeignObject(f"{SCHEMA}.{table} {what}; nothing was changed. Move it aside: {aside(table)}")


def statements(wanted: Collection[str], there: Collection[str]) -> list[sql.SQL | sql.Composed]:
    """Return the statements that create or repair the wanted tables, and drop unwanted ones."""
    made = {DISPATCHES: sql.SQL(query("tables", "dispatches")), ALERTS: sql.SQL(query("tables", "alerts"))}
    dropped = [sql.SQL(query("tables", "drop_alerts"))] if ALERTS in there and ALERTS not in wanted else []
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
    return [part for part in _wanted(row) if part not in there]


def _wanted(row: SnapshotRow) -> list[TablePart]:
    """Return the wanted parts with the schema's name, which the server repeats in the text of an index."""
    schema = row.get("schema", SCHEMA)
    return [part._replace(text=part.text.replace(f"{SCHEMA}.", f"{schema}.")) for part in WANTED[row["name"]]]


def _foreign(row: SnapshotRow) -> list[str]:
    return [] if row["kind"] == "r" and row["mine"] else [f"being a table of ours (owner {row['owner']})"]


def _is_of_another_type(wanted: TablePart, row: SnapshotRow) -> bool:
    actual = next((part for part in _actual(row) if part[:2] == wanted[:2]), None)
    if actual is None or wanted.kind != "column":
        return False
    return _declared(actual)["type"] != _declared(wanted)["type"] or " generated" in actual.text


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
    names = {"table": sql.SQL(f"{SCHEMA}.{table}"), "name": sql.Identifier(part.name)}
    # Already quoted by the server.
    as_written = {"text": sql.SQL(part.text), "bare": sql.SQL(part.name)}
    return sql.SQL(how[part.kind]).format(**names, **as_written, schema=sql.SQL(SCHEMA))


def _mending(table: str) -> sql.Composed:
    """Compose the statements that add a table's missing parts."""
    steps = [{**part._asdict(), "step": _making(table, part).as_string()} for part in WANTED[table]]
    # As SQL, since all of both is ours: a stack's names replace the default ones in SQL only.
    literals = {"steps": sql.Literal(json.dumps(steps, indent=1)), "relation": sql.Literal(f"{SCHEMA}.{table}")}
    quoted = {name: sql.SQL(one.as_string()) for name, one in literals.items()}
    return sql.SQL(query("tables", "mend")).format(**quoted)


def _declared(column: TablePart) -> Mapping[str, str | None]:
    """Split a column's declaration into type, NOT NULL, default and identity."""
    found = _DECLARED.fullmatch(column.text)
    return found.groupdict() if found else {}


def _making(table: str, part: TablePart) -> sql.Composed:
    """Compose the statement that adds or repairs a part."""
    names = {"table": sql.SQL(f"{SCHEMA}.{table}"), "name": sql.Identifier(part.name)}
    text = sql.SQL(part.text)  # from this file
    if part.kind == "column":
        literals = {"relation": sql.SQL(f"'{SCHEMA}.{table}'"), "column": sql.Literal(part.name)}
        return sql.SQL(" ").join(one.format(**names, **literals) for one in _column(part))
    return sql.SQL(_MAKING.get(part.name) or _MAKING[part.kind]).format(
        **names, text=text, index=sql.SQL(f"{SCHEMA}.{part.name}")
    )


def _column(part: TablePart) -> Iterator[sql.SQL]:
    """Yield the statements that add a column, or repair its default, identity and NOT NULL."""
    wanted = _declared(part)
    yield sql.SQL(f"alter table {{table}} add column if not exists {{name}} {wanted['type']};")
    yield sql.SQL("alter table {table} alter {name} drop identity if exists, alter {name} drop default;")
    if wanted["default"]:
        quoted = wanted["default"].replace("{", "{{").replace("}", "}}")
        yield sql.SQL(f"alter table {{table}} alter {{name}} set default {quoted};")
        yield sql.SQL("update {table} set {name} = default where {name} is null;")
    yield sql.SQL(f"alter table {{table}} alter {{name}} {'set' if wanted['filled'] else 'drop'} not null;")
    if wanted["identity"]:
        yield sql.SQL("alter table {table} alter {name} add generated always as identity;")
        # Continue after the existing rows.
        yield sql.SQL(
            "select pg_catalog.setval(pg_catalog.pg_get_serial_sequence({relation}, {column}), "
            "greatest(1, (select max({name}) from {table})));"
        )
