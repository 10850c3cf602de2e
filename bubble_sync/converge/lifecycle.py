"""Run the life cycle of a change: lock, guard, observe, change the differences, record, observe again.

Everything here runs inside the caller's transaction (`Database.transaction`), so that the object and its row in the
ledger appear together or not at all.
"""

from __future__ import annotations

from typing import TypeVar

from bubble_sync.converge import ledger, preflight
from bubble_sync.converge.kind import Kind
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found, read
from bubble_sync.errors import ServerRefused
from bubble_sync.specs import Observation, PrerequisitesSpec, RecordedSpec, Spec, compare

S = TypeVar("S", bound=Spec)
_MANAGED = "another resource of this stack manages it now; if none does, `pulumi up --refresh` claims it again"


def parts_of(kind: Kind[S], spec: S) -> tuple[str, ...]:
    """Return the parts to read for a change."""
    return (*kind.PARTS, *ledger.ROWS) if isinstance(spec, RecordedSpec) else kind.PARTS


def observe(conn: Connection, kind: Kind[S], spec: S, *, claim: str | None = None) -> Observation[S] | None:
    """Observe the object, with stack and project from the ledger.

    Args:
        conn: The connection.
        kind: The module of the object's kind.
        spec: The desired object.
        claim: The claim of the reading resource; with another claim in the ledger the object has no stack, so that
            `up` claims the object again. None for a reader without a resource.
    """
    found = _read(conn, kind, spec)
    row = ledger.rows(found).get(spec.object_name) if isinstance(spec, RecordedSpec) else None
    if row is not None and claim not in (None, row.claim):
        bare = kind.observed(spec, found)
        return None if bare is None else _as_recorded(bare, None)
    return observed(kind, spec, found)


def observed(kind: Kind[S], spec: S, found: Found) -> Observation[S] | None:
    """Return the object from a snapshot, with stack and project from the ledger."""
    bare = kind.observed(spec, found)
    if bare is None or not isinstance(spec, RecordedSpec):
        return bare
    return _as_recorded(bare, ledger.rows(found).get(spec.object_name))


def refuse(kind: Kind[S], spec: S, found: Found, *, adopt: bool = True) -> None:
    """Raise the errors of `converge` that precede any change, except for a missing ledger.

    Raises:
        ForeignObject: The object belongs to another owner.
        WrongEnvironment: The ledger names another project.
    """
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(found, spec.stack, spec.project_ref)
        if not adopt:
            preflight.refuse_adoption(kind, spec, found)
    there: Observation[Spec] | None = observed(kind, spec, found)
    if compare(spec, there):
        kind.refuse(spec, found)


def converge(conn: Connection, kind: Kind[S], spec: S, *, adopt: bool = True, claim: str = "") -> Observation[S]:
    """Converge one object to its spec, and return its new state.

    Args:
        conn: The connection, in the transaction of the change.
        kind: The module of the object's kind.
        spec: The desired state.
        adopt: Whether to adopt an existing object without a ledger row.
        claim: The claim of the managing resource; empty keeps the recorded claim.

    Raises:
        SyncError: As `refuse` does, and PrerequisiteMissing when there is no ledger.
    """
    found = _read(conn, kind, spec)
    row = ledger.rows(found).get(spec.object_name)
    if isinstance(spec, PrerequisitesSpec):
        preflight.refuse_foreign(conn, spec, found, adopt=adopt)
    if isinstance(spec, RecordedSpec):
        ledger.require(spec, found)
    refuse(kind, spec, found, adopt=adopt)
    before = observed(kind, spec, found)
    if before is not None and not compare(spec, before):
        if row is not None and claim not in ("", row.claim):
            ledger.record_claim(conn, spec.object_name, claim)
        return before
    settled = _settle(conn, kind, spec, kind.observed(spec, found))
    if isinstance(spec, RecordedSpec):
        made = before is None or (row is not None and row.made)
        place = settled.facts.get("schema", "")
        # Every change updates the row, which records the time of the last one.
        ledger.record(conn, spec.object_name, ledger.LedgerRow(spec.stack, spec.project_ref, made, place, claim))
    return settled


def remove(conn: Connection, kind: Kind[S], spec: S, *, claim: str = "", declared: bool = False) -> str | None:
    """Remove an object of ours without users; return the reason to keep it, or None once removed.

    Pulumi deletes a replaced or renamed resource before or after the successor claims the object.

    Args:
        conn: The connection, in the transaction of the change.
        kind: The module of the object's kind.
        spec: The object.
        claim: The claim of the deleted resource; another claim in the ledger keeps the object.
        declared: Whether the running program declares the object, which keeps it.

    Raises:
        SyncError: As `converge` does, when the ledger is another stack's or another project's.
    """
    found = _read(conn, kind, spec)
    row = ledger.rows(found).get(spec.object_name)
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(found, spec.stack, spec.project_ref)
        if row is not None and row.claim != claim:
            return _MANAGED
        if declared:
            return "the program still declares it"
    there = kind.observed(spec, found)
    if there is not None:
        reason = kind.kept(conn, spec)
        if reason is None and isinstance(spec, RecordedSpec) and (row is None or not row.made):
            reason = "it was there before"
        if reason is not None:
            return reason
        kind.remove(conn, spec, there)
    if isinstance(spec, RecordedSpec):
        ledger.forget(conn, spec)
    return None


def _read(conn: Connection, kind: Kind[S], spec: S) -> Found:
    return read(conn, parts_of(kind, spec), [spec])


def _settle(conn: Connection, kind: Kind[S], spec: S, before: Observation[S] | None) -> Observation[S]:
    """Apply the spec, observe again, and raise when a field still differs."""
    kind.apply(conn, spec, before)
    after = kind.observed(spec, read(conn, kind.PARTS, [spec]))
    left = compare(spec, after)
    if after is None or left:
        fields = ", ".join(difference.field for difference in left)
        refused = ServerRefused(
            f"{spec.object_name}: the server accepted the change, but {fields} still differs; rolled back. "
            "Look in the server's log for an event trigger, or for a setting of the role, that changes the object."
        )
        # A concurrent session can be the cause, for example when it removed the object.
        refused.lost_race = True
        raise refused
    return after


def _as_recorded(observed: Observation[S], row: ledger.LedgerRow | None) -> Observation[S]:
    known = {"stack": row.stack if row else ""}
    # A spec without a project matches any project in the ledger.
    if getattr(observed.actual, "project_ref", ""):
        known["project_ref"] = row.project_ref if row else ""
    return Observation(observed.actual.model_copy(update=known), observed.facts)
