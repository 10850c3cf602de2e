"""How a change happens, once for every kind: lock, guard, observe, change only what differs, record, observe again.

Everything here runs inside the caller's transaction (`Database.transaction`), so that the object and its row in the
ledger appear together or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from bubble_sync.compare import compare
from bubble_sync.converge import ledger
from bubble_sync.database import Connection, fetch
from bubble_sync.errors import ForeignObject, ServerRefused
from bubble_sync.specs import Observation, RecordedSpec, Spec
from bubble_sync.statements import query

S = TypeVar("S", bound=Spec)


class Kind(Protocol[S]):
    """What a module of this package offers for its kind of object."""

    def observe(self, conn: Connection, spec: S) -> Observation[S] | None:
        """Return the object as it is, or None when it is not there."""

    def apply(self, conn: Connection, spec: S, observed: Observation[S] | None) -> None:
        """Make the object as wanted, touching only what differs."""

    def kept(self, conn: Connection, spec: S) -> str | None:
        """Say why the object must stay, or None when it may go."""

    def remove(self, conn: Connection, spec: S) -> None:
        """Remove the object, which is there."""


def observe(conn: Connection, kind: Kind[S], spec: S) -> Observation[S] | None:
    """Return the object as it is, with the stack and project that the ledger gives for it."""
    observed = kind.observe(conn, spec)
    if observed is None or not isinstance(spec, RecordedSpec):
        return observed
    return _as_recorded(observed, ledger.rows(conn).get(spec.object_name))


def converge(conn: Connection, kind: Kind[S], spec: S, *, adopt: bool = True) -> Observation[S]:
    """Bring one object to its spec, adopting what is there unless told not to; return it as it is afterwards.

    Raises ForeignObject when it belongs to someone else, and WrongEnvironment when the ledger is another project's.
    """
    if not isinstance(spec, RecordedSpec):
        before = kind.observe(conn, spec)
        return before if before and not compare(spec, before) else _settle(conn, kind, spec, before)
    row = ledger.claim(conn, spec).get(spec.object_name)
    found = kind.observe(conn, spec)
    if found is not None and row is None and spec.adoptable and not adopt:
        raise ForeignObject(
            f"{spec.object_name} was not made by this stack, and bubble-sync:adopt is 'never': nothing was changed. "
            "Remove it, or take it over with `pulumi config set bubble-sync:adopt always`."
        )
    before = _as_recorded(found, row) if found else None
    if before is not None and not compare(spec, before):
        return before
    settled = _settle(conn, kind, spec, found)
    wanted = ledger.LedgerRow(spec.stack, spec.project_ref, made=found is None or (row is not None and row.made))
    if row != wanted:
        ledger.record(conn, spec.object_name, wanted)
    return settled


def remove(conn: Connection, kind: Kind[S], spec: S) -> str | None:
    """Remove an object that we made and nobody needs; return why it was kept, or None when it is gone.

    Raises like `converge` when the ledger is another stack's or another project's.
    """
    rows = ledger.rows(conn)
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(rows, spec.stack, spec.project_ref)
    row = rows.get(spec.object_name)
    if kind.observe(conn, spec) is None:
        ledger.forget(conn, spec)
        return None
    reason = kind.kept(conn, spec)
    if reason is None and isinstance(spec, RecordedSpec) and (row is None or not row.made):
        reason = "it was there before"
    if reason is None:
        kind.remove(conn, spec)
        ledger.forget(conn, spec)
    return reason


def users_of(conn: Connection, word: str, itself: str = "") -> Sequence[str]:
    """List functions, views, triggers and jobs whose text names `word` in any case, other than `itself`."""
    pattern = rf"(?i)(^|\W){re.escape(word)}(\W|$)"
    found = fetch(conn, query("references", "users"), {"pattern": pattern, "itself": itself})
    found += fetch(conn, query("references", "jobs"), {"pattern": pattern})
    return [row["name"] for row in found]


def _settle(conn: Connection, kind: Kind[S], spec: S, before: Observation[S] | None) -> Observation[S]:
    """Apply, and look again: what the server accepted must also be what is there."""
    kind.apply(conn, spec, before)
    after = kind.observe(conn, spec)
    left = compare(spec, after)
    if after is None or left:
        fields = ", ".join(difference.field for difference in left)
        raise ServerRefused(
            f"{spec.object_name}: the server accepted the change, but {fields} is not as wanted; nothing was kept. "
            "An event trigger or a limit of the role may have changed it: look at the server's log."
        )
    return after


def _as_recorded(observed: Observation[S], row: ledger.LedgerRow | None) -> Observation[S]:
    known = {"stack": row.stack if row else ""}
    # A spec that names no project does not mind which one the ledger names.
    if getattr(observed.actual, "project_ref", ""):
        known["project_ref"] = row.project_ref if row else ""
    return Observation(observed.actual.model_copy(update=known), observed.facts)
