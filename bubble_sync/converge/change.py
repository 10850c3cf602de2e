"""How a change happens, once for every kind: lock, guard, observe, change only what differs, record, observe again.

Everything here runs inside the caller's transaction (`Database.transaction`), so that the object and its row in the
ledger appear together or not at all.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from bubble_sync.compare import compare
from bubble_sync.converge import ledger
from bubble_sync.converge.reading import Found, read
from bubble_sync.database import Connection
from bubble_sync.errors import ForeignObject, ServerRefused
from bubble_sync.specs import Observation, RecordedSpec, Spec

S = TypeVar("S", bound=Spec)


class Kind(Protocol[S]):
    """What a module of this package offers for its kind of object."""

    @property
    def PARTS(self) -> tuple[str, ...]:
        """What must be read to observe an object of this kind."""

    def observed(self, spec: S, found: Found) -> Observation[S] | None:
        """Return the object as a reading has found it, or None when it is not there."""

    def refuse(self, spec: S, found: Found) -> None:
        """Raise when the object must not be made as wanted; asked only where something differs."""

    def apply(self, conn: Connection, spec: S, observed: Observation[S] | None) -> None:
        """Make the object as wanted, touching only what differs."""

    def kept(self, conn: Connection, spec: S) -> str | None:
        """Say why the object must stay, or None when it may go."""

    def remove(self, conn: Connection, spec: S, observed: Observation[S]) -> None:
        """Remove the object, which is there."""


def parts_of(kind: Kind[S], spec: S) -> tuple[str, ...]:
    """Return what must be read to converge an object."""
    return (*kind.PARTS, *ledger.ROWS) if isinstance(spec, RecordedSpec) else kind.PARTS


def observe(conn: Connection, kind: Kind[S], spec: S) -> Observation[S] | None:
    """Return the object as it is, with the stack and project that the ledger gives for it."""
    return observed(kind, spec, _read(conn, kind, spec))


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
        unknown = spec.object_name not in ledger.rows(found)
        if not adopt and spec.adoptable and unknown and kind.observed(spec, found) is not None:
            raise ForeignObject(
                f"{spec.object_name} was not made by this stack, and bubble-sync:adopt is 'never': nothing was "
                "changed. Remove it, or take it over with `pulumi config set bubble-sync:adopt always "
                f"--stack {spec.stack}`."
            )
    there: Observation[Spec] | None = observed(kind, spec, found)
    if compare(spec, there):
        kind.refuse(spec, found)


def converge(conn: Connection, kind: Kind[S], spec: S, *, adopt: bool = True) -> Observation[S]:
    """Bring one object to its spec, adopting what is there unless told not to; return it as it is afterwards.

    Raises like `refuse`, and PrerequisiteMissing when there is no ledger.
    """
    found = _read(conn, kind, spec)
    if isinstance(spec, RecordedSpec):
        ledger.require(spec, found)
    refuse(kind, spec, found, adopt=adopt)
    before = observed(kind, spec, found)
    if before is not None and not compare(spec, before):
        return before
    settled = _settle(conn, kind, spec, kind.observed(spec, found))
    if isinstance(spec, RecordedSpec):
        row = ledger.rows(found).get(spec.object_name)
        made = before is None or (row is not None and row.made)
        place = settled.facts.get("schema", "")
        # Whatever was changed: the row says since when the object is as it is.
        ledger.record(conn, spec.object_name, ledger.LedgerRow(spec.stack, spec.project_ref, made, place))
    return settled


def remove(conn: Connection, kind: Kind[S], spec: S) -> str | None:
    """Remove an object that we made and nobody needs; return why it was kept, or None when it is gone.

    Raises like `converge` when the ledger is another stack's or another project's.
    """
    found = _read(conn, kind, spec)
    if isinstance(spec, RecordedSpec):
        ledger.require_ours(found, spec.stack, spec.project_ref)
    there = kind.observed(spec, found)
    if there is not None:
        row = ledger.rows(found).get(spec.object_name)
        reason = kind.kept(conn, spec)
        if reason is None and isinstance(spec, RecordedSpec) and (row is None or not row.made):
            reason = "it was there before"
        if reason is not None:
            return reason
        kind.remove(conn, spec, there)
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
