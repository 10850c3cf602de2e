"""Read all requested parts of the database in one round trip, as the owner or through `bubble_sync.observe`.

The body of `bubble_sync.observe` is the same block, so both ways return the same plain rows; the modules of `converge`
turn the rows into observations without further queries. A missing privilege is an error, never "gone": row security
hides all jobs from other roles.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from bubble_sync.config.settings import NameSettings
from bubble_sync.database.connection import Connection, Verbatim, names_of_stack
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.specs import RecordedSpec, Spec
from bubble_sync.sql_loader import query, reading_block

SnapshotRow = Mapping[str, Any]

STATUSES = ("pending", "processing", "completed", "failed")

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_TO_A_CURSOR = "declare portal refcursor := 'bubble_sync_answer'; begin open portal for select answer; end"


def required_values(names: NameSettings) -> dict[str, tuple[str, ...]]:
    """Return the values that the queue's columns must accept. The processor counts items of these operations alone."""
    return {"operation": names.operations, "status": STATUSES}


@dataclass(frozen=True)
class Snapshot:
    """The rows of one reading by part; none for a missing table."""

    parts: Mapping[str, list[SnapshotRow]] = field(default_factory=dict)
    salt: str = ""
    """The salt of the secrets' digests."""
    names: NameSettings = field(default_factory=NameSettings)

    def rows(self, part: str) -> list[SnapshotRow]:
        """Return the rows of a requested part."""
        return self.parts.get(part, [])


def read_snapshot(
    conn: Connection, parts: Collection[str], specs: Iterable[Spec] = (), pattern: str = "", itself: str = ""
) -> Snapshot:
    """Read the parts for `specs`; raise psycopg's errors, for example for a missing privilege."""
    # A new salt for each reading, so that neither statement nor digest reveals a value.
    salt = secrets.token_hex(16)
    values = {**names_of(specs), "salt": salt, "pattern": pattern, "itself": itself}
    rows = rows_of_block(conn, reading_block(tuple(parts), _TO_A_CURSOR), values)
    return Snapshot(rows[0]["answer"] if rows else {}, salt, names_of_stack(conn))


def rows_of_block(conn: Connection, block: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
    """Run a PL/pgSQL block, which takes no parameters, with literals; return the rows of its cursor."""
    literals = {name: sql.Literal(value) for name, value in values.items()}
    text = filled(block, literals, names_of_stack(conn)).as_string(conn)
    # Verbatim, since the literals must stay as they are.
    quoted = Verbatim(dollar_quoted(f"\n{text}\n", "$observe$"))
    # A DO block returns no rows, but its open cursor lives until the end of the transaction.
    cursor = conn.execute(sql.SQL("do {}; fetch all in bubble_sync_answer; close bubble_sync_answer").format(quoted))
    cursor.nextset()
    return cursor.fetchall()


def filled(block: str, values: Mapping[str, sql.Composable], names: NameSettings) -> sql.Composed:
    """Fill the declarations of a block with literals, or with expressions of a function."""
    known = {"required": sql.Literal(json.dumps(required_values(names))), **values}
    pieces = _PLACEHOLDER.split(names.render(block))
    texts = [sql.SQL(piece) for piece in pieces[::2]]
    joined: list[sql.Composable] = [texts[0]]
    for name, text in zip(pieces[1::2], texts[1:], strict=True):
        joined += [known[name], text]
    return sql.Composed(joined)


def names_of(specs: Iterable[Spec]) -> dict[str, list[str]]:
    """Return the object names by kind for the block's declarations."""
    names: dict[str, list[str]] = {"extensions": [], "functions": [], "jobs": [], "secrets": [], "triggers": []}
    for spec in specs:
        if isinstance(spec, RecordedSpec):
            names[f"{spec.kind}s"].append(spec.object_name.removeprefix(f"{spec.kind} "))
    return names


def dollar_quoted(text: str, tag: str) -> str:
    """Quote a text with the tag, made longer until the text does not contain it."""
    while tag in text:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{text}{tag}"


ALWAYS_THERE = frozenset(
    {"extensions", "functions", "ledger", "queue", "refused", "schema", "server", "tables", "triggers"}
)
"""Parts of every answer, from the system catalogs."""


def read_accessible(conn: Connection, parts: Collection[str], specs: Sequence[Spec]) -> Snapshot:
    """Read the parts for `specs`; raise PrivilegeMissing with the missing grant."""
    way = conn.execute(query("observe", "way")).fetchone()
    if way is None or way["owner"] in (None, way["role"]):
        return read_snapshot(conn, tuple(sorted(parts)), specs)
    _require_observer(way)
    salt = secrets.token_hex(16)
    row = conn.execute(query("observe", "call"), {"salt": salt}).fetchone()
    snapshot = Snapshot(row["answer"] if row else {}, salt, names_of_stack(conn))
    if lacking := (ALWAYS_THERE & set(parts)) - set(snapshot.parts):
        raise PrerequisiteMissing(
            f"bubble_sync.observe(text) does not return {', '.join(sorted(lacking))}: its version is another. "
            f"As {way['owner']}: `pulumi up`."
        )
    return snapshot


def _require_observer(way: SnapshotRow) -> None:
    role, owner = way["role"], way["owner"]
    if way["may_observe"] is None:
        raise PrivilegeMissing(
            f"{role} may not read a stack that is {owner}'s, and there is no bubble_sync.observe(text), which "
            f"would allow this: connect as {owner}, or set bubble-sync:access.monitorRole to {role} and run "
            "`pulumi up`."
        )
    grants = {
        f"grant usage on schema bubble_sync to {role};": way["may_use"],
        f"grant execute on function bubble_sync.observe(text) to {role};": way["may_observe"],
    }
    if lacking := " ".join(grant for grant, held in grants.items() if not held):
        raise PrivilegeMissing(f"{role} may not call bubble_sync.observe(text). As {owner}: {lacking}")
