"""Install missing extensions; never move, upgrade or drop one.

Dropping pg_cron deletes all jobs of the database, supabase_vault all secrets, and pg_net all webhooks.
"""

from __future__ import annotations

from psycopg import sql

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot
from bubble_sync.database.table_names import LEDGER_TABLE
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import ExtensionSpec, Observation

# The schemas of hosted projects; supabase_vault's control file sets its own.
_SCHEMA_ON_CREATE = {"pg_cron": "pg_catalog", "pg_net": "extensions"}
SECTIONS = ("extensions",)


def observe(spec: ExtensionSpec, snapshot: Snapshot) -> Observation[ExtensionSpec] | None:
    """Return the installed extension with its version and schema as facts."""
    row = next((row for row in snapshot.rows("extensions") if row["name"] == spec.name), None)
    if row is None:
        return None
    before = _remembered(spec, snapshot)
    moved = f"from {before} to {row['schema']}" if before and before != row["schema"] else ""
    actual = spec.model_copy(update={"moved": moved})
    return Observation(actual, {"version": row["version"], "schema": row["schema"]})


def preflight(spec: ExtensionSpec, snapshot: Snapshot) -> None:
    """Raise ForeignObject when the extension has moved since its creation or adoption."""
    there = observe(spec, snapshot)
    if there is None or not there.actual.moved:
        return
    before = sql.Identifier(_remembered(spec, snapshot))
    back = sql.SQL("drop extension {name}; create extension {name} schema {before};")
    accept = sql.SQL("update {} set place = {now} where object = {object};")
    given = {"now": sql.Literal(there.facts["schema"]), "object": sql.Literal(spec.object_name)}
    raise ForeignObject(
        f"{spec.object_name} has moved {there.actual.moved}: nothing was changed. To bring it back, and lose its "
        f"contents: {back.format(name=sql.Identifier(spec.name), before=before).as_string()} To leave it there: "
        + accept.format(sql.SQL(LEDGER_TABLE), **given).as_string()
    )


def apply(conn: Connection, spec: ExtensionSpec, observed: Observation[ExtensionSpec] | None) -> None:
    """Install the extension if missing."""
    if observed is None:
        conn.execute(extension_statement(spec))


def extension_statement(spec: ExtensionSpec) -> sql.Composed:
    """Compose the statement that installs the extension."""
    create = sql.SQL("create extension if not exists {name}").format(name=sql.Identifier(spec.name))
    schema = _SCHEMA_ON_CREATE.get(spec.name)
    if schema is not None:
        create += sql.SQL(" schema {schema}").format(schema=sql.Identifier(schema))
    if schema == "extensions":
        create = sql.SQL("create schema if not exists extensions; ") + create
    return create


def retention_reason(conn: Connection, spec: ExtensionSpec) -> str | None:
    """Return the reason to keep an extension, which always stays."""
    return "dropping an extension drops what others built on it"


def remove(conn: Connection, spec: ExtensionSpec, observed: Observation[ExtensionSpec]) -> None:
    """Do nothing."""


def _remembered(spec: ExtensionSpec, snapshot: Snapshot) -> str:
    known = (row.get("place", "") for row in snapshot.rows("recorded") if row["object"] == spec.object_name)
    return next((place for place in known if place), "")
