"""Prerequisites: observed, never changed; whatever else the sync needs is made only when nothing is missing."""

from __future__ import annotations

from typing import Any

from psycopg import DatabaseError, sql

from bubble_sync.database import Connection
from bubble_sync.errors import PrerequisiteMissing
from bubble_sync.specs import Observation, PrerequisitesSpec
from bubble_sync.statements import query

REQUIRED_VALUES = {
    "operation": ("SIGNUP_ATOMIC", "INSERT", "UPDATE"),
    "status": ("pending", "processing", "completed", "failed"),
}


def observe(conn: Connection, spec: PrerequisitesSpec) -> Observation[PrerequisitesSpec]:
    """List everything that is missing, sorted; never raises for a missing part."""
    queue = conn.execute(query("queue", "observe")).fetchone() or {}
    server = conn.execute(query("server", "observe")).fetchone() or {}
    missing = [*queue["missing"], *server["missing"], *_refused_labels(queue["labels"])]
    missing += _refused_by_checks(conn, queue["checks"])
    return Observation(spec.model_copy(update={"missing": tuple(sorted(missing))}))


def apply(conn: Connection, spec: PrerequisitesSpec, observed: Observation[PrerequisitesSpec] | None) -> None:
    """Raise the whole list of what is missing."""
    missing = observed.actual.missing if observed else ()
    listed = "".join(f"\n  - {one}" for one in missing)
    raise PrerequisiteMissing(
        f"the database lacks what the sync is built on; nothing was changed. Provide, then run again:{listed}"
    )


def kept(conn: Connection, spec: PrerequisitesSpec) -> str | None:
    """Say nothing: there is nothing of ours to keep."""
    return None


def remove(conn: Connection, spec: PrerequisitesSpec) -> None:
    """Remove nothing."""


def _refused_labels(labels: dict[str, list[str] | None]) -> list[str]:
    return [
        f"{column} '{value}' in the enum of public.sync_queue.{column}"
        for column, allowed in labels.items()
        for value in REQUIRED_VALUES[column]
        if allowed is not None and value not in allowed
    ]


def _refused_by_checks(conn: Connection, checks: list[dict[str, Any]]) -> list[str]:
    """Ask the server itself whether each value passes; a constraint it cannot evaluate alone says nothing."""
    refused = []
    for check in checks:
        column = check["column"]
        ask = sql.SQL(
            "select given.value from pg_catalog.unnest({values}::text[]) as given (value) "
            "cross join lateral (select given.value::{type} as {column}) as item where not ({expression})"
        ).format(
            values=sql.Literal(list(REQUIRED_VALUES[column])),
            type=sql.SQL(check["type"]),
            column=sql.Identifier(column),
            expression=sql.SQL(check["expression"]),
        )
        try:
            with conn.transaction():
                found = [row["value"] for row in conn.execute(ask).fetchall()]
        except DatabaseError:
            continue
        refused += [f"{column} '{value}' in the constraint {check['name']} of public.sync_queue" for value in found]
    return refused
