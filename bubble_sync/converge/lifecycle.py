"""Run the life cycle of a change: lock, guard, observe, change the differences, record, observe again.

Everything here runs inside the caller's transaction (`Database.transaction`), so that the object and its row in the
ledger appear together or not at all.
"""

from __future__ import annotations

from typing import TypeVar

from bubble_sync.converge import ledger, preflight
from bubble_sync.converge.registry import kind_of
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, read_snapshot
from bubble_sync.errors import ServerRefused
from bubble_sync.specs import Observation, PrerequisitesSpec, RecordedSpec, Spec, compare

_S = TypeVar("_S", bound=Spec)
_MANAGED = "another resource of this stack manages it now; if none does, `pulumi up --refresh` claims it again"


def sections_of(spec: Spec) -> tuple[str, ...]:
    """Return the parts to read for a change."""
    sections = kind_of(spec).SECTIONS
    return (*sections, *ledger.ROW_SECTIONS) if isinstance(spec, RecordedSpec) else sections


def observe(conn: Connection, spec: _S, *, claim: str | None = None) -> Observation[_S] | None:
    """Observe the object, with stack and project from the ledger.

    Args:
        conn: The connection.
        spec: The desired object.
        claim: The claim of the reading resource; with another claim in the ledger the object has no stack, so that
            `up` claims the object again. None for a reader without a resource.
    """
    snapshot = _read(conn, spec)
    row = ledger.rows(snapshot).get(spec.object_name) if isinstance(spec, RecordedSpec) else None
    if row is not None and claim not in (None, row.claim):
        bare = kind_of(spec).observe(spec, snapshot)
        return None if bare is None else _as_recorded(bare, None)
    return observe_in(spec, snapshot)


def observe_in(spec: _S, snapshot: Snapshot) -> Observation[_S] | None:
    """Return the object from a snapshot, with stack and project from the ledger."""
    bare = kind_of(spec).observe(spec, snapshot)
    if bare is None or not isinstance(spec, RecordedSpec):
        return bare
    return _as_recorded(bare, ledger.rows(snapshot).get(spec.object_name))


def preflight_change(spec: _S, snapshot: Snapshot, *, adopt: bool = True) -> None:
    """Raise the errors of `converge` that precede any change, except for a missing ledger.

    Raises:
        ForeignObject: The object belongs to another owner.
        WrongEnvironment: The ledger names another project.
    """
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(snapshot, spec.stack, spec.project_ref)
        if not adopt:
            preflight.refuse_adoption(spec, snapshot)
    there: Observation[Spec] | None = observe_in(spec, snapshot)
    if compare(spec, there):
        kind_of(spec).preflight(spec, snapshot)


def converge(conn: Connection, spec: _S, *, adopt: bool = True, claim: str = "") -> Observation[_S]:
    """Converge one object to its spec, and return its new state.

    Args:
        conn: The connection, in the transaction of the change.
        spec: The desired state.
        adopt: Whether to adopt an existing object without a ledger row.
        claim: The claim of the managing resource; empty keeps the recorded claim.

    Raises:
        SyncError: As `preflight_change` does, and PrerequisiteMissing when there is no ledger.
    """
    snapshot = _read(conn, spec)
    row = ledger.rows(snapshot).get(spec.object_name)
    if isinstance(spec, PrerequisitesSpec):
        preflight.refuse_foreign_objects(conn, spec, snapshot, adopt=adopt)
    if isinstance(spec, RecordedSpec):
        ledger.require(spec, snapshot)
    preflight_change(spec, snapshot, adopt=adopt)
    before = observe_in(spec, snapshot)
    if before is not None and not compare(spec, before):
        if row is not None and claim not in ("", row.claim):
            ledger.record_claim(conn, spec.object_name, claim)
        return before
    settled = _apply_and_verify(conn, spec, kind_of(spec).observe(spec, snapshot))
    if isinstance(spec, RecordedSpec):
        made = before is None or (row is not None and row.made)
        place = settled.facts.get("schema", "")
        # Every change updates the row, which records the time of the last one.
        ledger.record(conn, spec.object_name, ledger.LedgerRow(spec.stack, spec.project_ref, made, place, claim))
    return settled


def remove(conn: Connection, spec: _S, *, claim: str = "", declared: bool = False) -> str | None:
    """Remove an object of ours without users; return the reason to keep it, or None once removed.

    Pulumi deletes a replaced or renamed resource before or after the successor claims the object.

    Args:
        conn: The connection, in the transaction of the change.
        spec: The object.
        claim: The claim of the deleted resource; another claim in the ledger keeps the object.
        declared: Whether the running program declares the object, which keeps it.

    Raises:
        SyncError: As `converge` does, when the ledger is another stack's or another project's.
    """
    snapshot = _read(conn, spec)
    row = ledger.rows(snapshot).get(spec.object_name)
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(snapshot, spec.stack, spec.project_ref)
        if row is not None and row.claim != claim:
            return _MANAGED
    if declared:
        return "the program still declares it"
    kind = kind_of(spec)
    there = kind.observe(spec, snapshot)
    if there is not None:
        reason = kind.retention_reason(conn, spec)
        if reason is None and isinstance(spec, RecordedSpec) and (row is None or not row.made):
            reason = "it was there before"
        if reason is not None:
            return reason
        kind.remove(conn, spec, there)
    if isinstance(spec, RecordedSpec):
        ledger.forget(conn, spec)
    return None


def _read(conn: Connection, spec: _S) -> Snapshot:
    return read_snapshot(conn, sections_of(spec), [spec])


def _apply_and_verify(conn: Connection, spec: _S, before: Observation[_S] | None) -> Observation[_S]:
    """Apply the spec, observe again, and raise when a field still differs."""
    kind = kind_of(spec)
    kind.apply(conn, spec, before)
    after = kind.observe(spec, read_snapshot(conn, kind.SECTIONS, [spec]))
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


def _as_recorded(observed: Observation[_S], row: ledger.LedgerRow | None) -> Observation[_S]:
    known = {"stack": row.stack if row else ""}
    # A spec without a project matches any project in the ledger.
    if getattr(observed.actual, "project_ref", ""):
        known["project_ref"] = row.project_ref if row else ""
    return Observation(observed.actual.model_copy(update=known), observed.facts)
