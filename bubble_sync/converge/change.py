"""How a change happens, once for every kind: lock, guard, observe, change only what differs, record, observe again.

Everything here runs inside the caller's transaction (`Database.transaction`), so that the object and its row in the
ledger appear together or not at all.
"""

from __future__ import annotations

from typing import TypeVar

from bubble_sync.compare import compare
from bubble_sync.converge import ledger, wanted
from bubble_sync.converge.kind import Kind
from bubble_sync.converge.reading import Found, read
from bubble_sync.database import Connection
from bubble_sync.errors import ServerRefused
from bubble_sync.specs import Observation, PrerequisitesSpec, RecordedSpec, Spec

S = TypeVar("S", bound=Spec)
_MANAGED = "another resource of this stack manages it now; if none does, `pulumi up --refresh` claims it again"


def parts_of(kind: Kind[S], spec: S) -> tuple[str, ...]:
    """Return what must be read to converge an object."""
    return (*kind.PARTS, *ledger.ROWS) if isinstance(spec, RecordedSpec) else kind.PARTS


def observe(conn: Connection, kind: Kind[S], spec: S, *, claim: str | None = None) -> Observation[S] | None:
    """Return the object as it is, with the stack and project that the ledger gives for it.

    Args:
        conn: The connection.
        kind: The module of the object's kind.
        spec: The object as wanted.
        claim: The claim of the resource that reads; with another one in the ledger the object has no stack, so that
            `up` claims it again. None for a reader that is no resource.
    """
    found = _read(conn, kind, spec)
    row = ledger.rows(found).get(spec.object_name) if isinstance(spec, RecordedSpec) else None
    if row is not None and claim not in (None, row.claim):
        bare = kind.observed(spec, found)
        return None if bare is None else _as_recorded(bare, None)
    return observed(kind, spec, found)


def observed(kind: Kind[S], spec: S, found: Found) -> Observation[S] | None:
    """Return the object as a reading has found it, with the stack and project that the ledger gives for it."""
    bare = kind.observed(spec, found)
    if bare is None or not isinstance(spec, RecordedSpec):
        return bare
    return _as_recorded(bare, ledger.rows(found).get(spec.object_name))


def refuse(kind: Kind[S], spec: S, found: Found, *, adopt: bool = True) -> None:
    """Raise what `converge` raises before it changes anything; a ledger that is not there is no reason.

    ForeignObject when it belongs to someone else, WrongEnvironment when the ledger is another project's.
    """
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(found, spec.stack, spec.project_ref)
        if not adopt:
            wanted.refuse_adoption(kind, spec, found)
    there: Observation[Spec] | None = observed(kind, spec, found)
    if compare(spec, there):
        kind.refuse(spec, found)


def converge(conn: Connection, kind: Kind[S], spec: S, *, adopt: bool = True, claim: str = "") -> Observation[S]:
    """Bring one object to its spec, adopting what is there unless told not to; return it as it is afterwards.

    Args:
        conn: The connection, in the transaction of the change.
        kind: The module of the object's kind.
        spec: The object as wanted.
        adopt: Whether an object that is there, and not in the ledger, is taken over.
        claim: The claim of the resource that manages the object from now on; empty leaves the ledger's.

    Raises:
        SyncError: As `refuse` does, and PrerequisiteMissing when there is no ledger.
    """
    found = _read(conn, kind, spec)
    row = ledger.rows(found).get(spec.object_name)
    if isinstance(spec, PrerequisitesSpec):
        wanted.refuse_foreign(conn, spec, found, adopt=adopt)
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
        # Whatever was changed: the row says since when the object is as it is.
        ledger.record(conn, spec.object_name, ledger.LedgerRow(spec.stack, spec.project_ref, made, place, claim))
    return settled


def remove(conn: Connection, kind: Kind[S], spec: S, *, claim: str = "", declared: bool = False) -> str | None:
    """Remove an object that we made and nobody needs; return why it was kept, or None when it is gone.

    A resource that is replaced or renamed is deleted after its successor has claimed the object, or before that.

    Args:
        conn: The connection, in the transaction of the change.
        kind: The module of the object's kind.
        spec: The object.
        claim: The claim of the resource that is deleted: with another one in the ledger the object stays.
        declared: Whether the program of this deployment declares the object: then it stays too.

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
    """Apply, and look again: what the server accepted must also be what is there."""
    kind.apply(conn, spec, before)
    after = kind.observed(spec, read(conn, kind.PARTS, [spec]))
    left = compare(spec, after)
    if after is None or left:
        fields = ", ".join(difference.field for difference in left)
        refused = ServerRefused(
            f"{spec.object_name}: the server accepted the change, but {fields} is not as wanted; nothing was kept. "
            "An event trigger or a limit of the role may have changed it: look at the server's log."
        )
        # Or another session has: an object that was removed while it was changed, for one.
        refused.lost_race = True
        raise refused
    return after


def _as_recorded(observed: Observation[S], row: ledger.LedgerRow | None) -> Observation[S]:
    known = {"stack": row.stack if row else ""}
    # A spec that names no project does not mind which one the ledger names.
    if getattr(observed.actual, "project_ref", ""):
        known["project_ref"] = row.project_ref if row else ""
    return Observation(observed.actual.model_copy(update=known), observed.facts)
