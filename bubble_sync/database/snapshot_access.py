"""Read a stack as the owner of its objects, or through `bubble_sync.observe`.

The body of `bubble_sync.observe` is the same block, so both ways return the same rows. A missing privilege is an error,
never "gone": row security hides all jobs from other roles.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, SnapshotRow, read_snapshot
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.specs import Spec
from bubble_sync.sql_loader import query

ALWAYS_THERE = frozenset({"extensions", "functions", "ledger", "queue", "refused", "schema", "server", "tables"})
"""Parts of every answer, from the system catalogs."""


def read_accessible(conn: Connection, parts: Collection[str], specs: Sequence[Spec]) -> Snapshot:
    """Read the parts for `specs`; raise PrivilegeMissing with the missing grant."""
    way = conn.execute(query("watching", "way")).fetchone()
    if way is None or way["owner"] in (None, way["role"]):
        return read_snapshot(conn, tuple(sorted(parts)), specs)
    _require_observer(way)
    salt = secrets.token_hex(16)
    row = conn.execute(query("watching", "observe"), {"salt": salt}).fetchone()
    snapshot = Snapshot(row["answer"] if row else {}, salt)
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
