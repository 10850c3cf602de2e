"""Define each part of our tables, and the SQL that adds a missing part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from psycopg import sql

from bubble_sync.database.table_names import SCHEMA
from bubble_sync.specs import ALERTS, DISPATCHES

LEDGER = "ledger"


class TablePart(NamedTuple):
    """One part of a table, in the server's notation."""

    kind: str
    name: str
    text: str = ""

    def __str__(self) -> str:
        """Return the part's name; for a column, its declaration."""
        return self.name if self.kind == "property" else " ".join([self.kind, self.name, *self._declared]).rstrip()

    @property
    def _declared(self) -> tuple[str, ...]:
        return (self.text,) if self.kind in ("column", "reference") else ()


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
            "column depths bigint[] not null default '{}'::bigint[]",
            "column last_rejected bigint not null default 0",
            *(
                f"column {one}_told {_TIMESTAMP} '-infinity'::timestamp with time zone"
                for one in ("failures", "growing", "oldest", "rejected")
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


def declared(column: TablePart) -> Mapping[str, str | None]:
    """Split a column's declaration into type, NOT NULL, default and identity."""
    found = _DECLARED.fullmatch(column.text)
    return found.groupdict() if found else {}


def making(table: str, part: TablePart) -> sql.Composed:
    """Compose the statement that adds or repairs a part."""
    names = {"table": sql.Identifier(SCHEMA, table), "name": sql.Identifier(part.name)}
    text = sql.SQL(part.text)  # from this file
    if part.kind == "column":
        literals = {"relation": sql.Literal(f"{SCHEMA}.{table}"), "column": sql.Literal(part.name)}
        return sql.SQL(" ").join(one.format(**names, **literals) for one in _column(part))
    return sql.SQL(_MAKING.get(part.name) or _MAKING[part.kind]).format(
        **names, text=text, index=sql.Identifier(SCHEMA, part.name)
    )


def _column(part: TablePart) -> Iterator[sql.SQL]:
    """Yield the statements that add a column, or repair its default, identity and NOT NULL."""
    wanted = declared(part)
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
