"""Converge Vault secrets by name: ids stay, and values never reach a statement, a log line or an answer."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from enum import StrEnum

from psycopg import DataError

from bubble_sync.converge.references import references_to
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot
from bubble_sync.specs import DIFFERS, NOT_KNOWN, Observation, VaultSecretSpec
from bubble_sync.sql_loader import query

SECTIONS = ("secrets", "digests")


class Stored(StrEnum):
    """The relation of a stored value to the desired one."""

    EQUAL = "equal"
    DIFFERS = "differs"
    UNREADABLE = "unreadable"
    """The database cannot decrypt the value."""
    UNKNOWN = "not known"
    """The desired value is not known, and the stored one was written after the last `up` of the secret."""


def observe(spec: VaultSecretSpec, snapshot: Snapshot) -> Observation[VaultSecretSpec] | None:
    """Return the secret, with `<differs>` in place of a stored value known to be another than `spec.value`."""
    row = next((row for row in snapshot.rows("secrets") if row["name"] == spec.name), None)
    if row is None:
        return None
    stored = state_of_value(spec, snapshot)
    value = spec.value if stored in (Stored.EQUAL, Stored.UNKNOWN) else DIFFERS
    actual = spec.model_copy(update={"value": value, "description": row["description"]})
    written = {"written_at": row["updated_at"]} if stored is Stored.UNKNOWN else {}
    return Observation(actual, {"secret_id": row["id"], **written})


def state_of_value(spec: VaultSecretSpec, snapshot: Snapshot) -> Stored:
    """Compare the digests of both values; no value is bound or returned."""
    digest = next((row["digest"] for row in snapshot.rows("digests") if row["name"] == spec.name), None)
    if digest is None:
        return Stored.UNREADABLE
    if spec.value == NOT_KNOWN:
        return Stored.UNKNOWN if _written_since_recorded(spec, snapshot) else Stored.EQUAL
    wanted = hashlib.sha256((snapshot.salt + spec.value).encode()).hexdigest()
    return Stored.EQUAL if secrets.compare_digest(digest, wanted) else Stored.DIFFERS


def _written_since_recorded(spec: VaultSecretSpec, snapshot: Snapshot) -> bool:
    """Return whether Vault's row is newer than the ledger's, which `up` writes in the transaction of the value."""
    written = [row["updated_at"] for row in snapshot.rows("secrets") if row["name"] == spec.name]
    recorded = [row["recorded_at"] for row in snapshot.rows("recorded") if row["object"] == spec.object_name]
    if not (written and written[0] and recorded and recorded[0]):
        return True
    return datetime.fromisoformat(written[0]) > datetime.fromisoformat(recorded[0])


def preflight(spec: VaultSecretSpec, snapshot: Snapshot) -> None:
    """Accept any secret of this name, since the functions read secrets by name."""


def apply(conn: Connection, spec: VaultSecretSpec, observed: Observation[VaultSecretSpec] | None) -> None:
    """Create the secret, or update the fields that differ; recreate a secret that cannot be decrypted."""
    if observed is None:
        _receive(conn, spec.value)
        _insert(conn, spec)
        return
    secret_id = observed.facts["secret_id"]
    if observed.actual.value != spec.value:
        _receive(conn, spec.value)
        try:
            with conn.transaction():
                conn.execute(query("vault", "set_value"), {"id": secret_id})
        except DataError:
            # update_secret decrypts the old value first, and fails after a change of root key.
            conn.execute(query("vault", "remove"), {"id": secret_id})
            _insert(conn, spec)
            return
    if observed.actual.description != spec.description:
        conn.execute(query("vault", "set_description"), {"id": secret_id, "description": spec.description})


def retention_reason(conn: Connection, spec: VaultSecretSpec) -> str | None:
    """Return the reason to keep a secret that a function, a trigger or a job names."""
    users = references_to(conn, spec.name)
    return f"{', '.join(users)} name{'s' if len(users) == 1 else ''} it" if users else None


def remove(conn: Connection, spec: VaultSecretSpec, observed: Observation[VaultSecretSpec]) -> None:
    """Delete the secret."""
    conn.execute(query("vault", "remove"), {"id": observed.facts["secret_id"]})


def _insert(conn: Connection, spec: VaultSecretSpec) -> None:
    """Insert a placeholder and update it, because create_secret first writes its argument in clear text."""
    given = {"name": spec.name, "description": spec.description}
    row = conn.execute(query("vault", "create"), given).fetchone()
    conn.execute(query("vault", "set_value"), {"id": row["id"] if row else None})


def _receive(conn: Connection, value: str) -> None:
    conn.execute(query("vault", "incoming"))
    with conn.cursor() as cursor, cursor.copy(query("vault", "copy_incoming")) as copy:
        # No other statement in this block: an error message would quote the row.
        copy.write_row((value,))
