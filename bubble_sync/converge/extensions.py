"""Extensions: installed where they are not; never moved, never given a version, never dropped.

Dropping pg_cron takes every job of the database with it, supabase_vault every secret, pg_net every webhook.
"""

from __future__ import annotations

from psycopg import sql

from bubble_sync.converge.reading import Found
from bubble_sync.database import Connection
from bubble_sync.specs import ExtensionSpec, Observation

# Where hosted projects have them; supabase_vault's control file chooses for itself.
_SCHEMA_ON_CREATE = {"pg_cron": "pg_catalog", "pg_net": "extensions"}


PARTS = ("extensions",)


def observed(spec: ExtensionSpec, found: Found) -> Observation[ExtensionSpec] | None:
    """Return the installed extension with its version and schema as facts."""
    row = next((row for row in found.rows("extensions") if row["name"] == spec.name), None)
    if row is None:
        return None
    return Observation(spec, {"version": row["version"], "schema": row["schema"]})


def refuse(spec: ExtensionSpec, found: Found) -> None:
    """Raise nothing: an extension is taken as it is found."""


def apply(conn: Connection, spec: ExtensionSpec, observed: Observation[ExtensionSpec] | None) -> None:
    """Install the extension where it is not."""
    if observed is None:
        conn.execute(statement(spec))


def statement(spec: ExtensionSpec) -> sql.Composed:
    """Compose what installs the extension."""
    create = sql.SQL("create extension if not exists {name}").format(name=sql.Identifier(spec.name))
    schema = _SCHEMA_ON_CREATE.get(spec.name)
    if schema is not None:
        create += sql.SQL(" schema {schema}").format(schema=sql.Identifier(schema))
    if schema == "extensions":
        create = sql.SQL("create schema if not exists extensions; ") + create
    return create


def kept(conn: Connection, spec: ExtensionSpec) -> str | None:
    """Say that an extension always stays."""
    return "dropping an extension drops what others built on it"


def remove(conn: Connection, spec: ExtensionSpec, observed: Observation[ExtensionSpec]) -> None:
    """Remove nothing."""
