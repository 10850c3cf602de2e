"""Find all objects that would be refused, before the first change."""

from __future__ import annotations

from psycopg.errors import InsufficientPrivilege

from bubble_sync.converge import cron_jobs, functions, ledger, prerequisites, triggers
from bubble_sync.converge.registry import kind_of
from bubble_sync.database.connection import Connection, names_of_stack
from bubble_sync.database.snapshot import Snapshot, read_snapshot
from bubble_sync.errors import ForeignObject, SyncError
from bubble_sync.specs import PrerequisitesSpec, RecordedSpec

PREFLIGHT_SECTIONS = (*functions.SECTIONS, *cron_jobs.SECTIONS, *triggers.SECTIONS, "secrets", *ledger.ROW_SECTIONS)


def refuse_adoption(spec: RecordedSpec, snapshot: Snapshot) -> None:
    """Raise ForeignObject for an existing object that the stack did not make."""
    unknown = spec.object_name not in ledger.rows(snapshot)
    if spec.adoptable and unknown and kind_of(spec).observe(spec, snapshot) is not None:
        raise ForeignObject(
            f"{spec.object_name} was not made by this stack, and bubble-sync:adopt is 'never': nothing was "
            "changed. Remove it, or take it over with `pulumi config set bubble-sync:adopt always "
            f"--stack {spec.stack}`."
        )


def refusals(spec: PrerequisitesSpec, snapshot: Snapshot, *, adopt: bool) -> dict[str, str]:
    """Return the reasons by name for the stack's objects that would be refused."""
    reasons = {}
    for one in prerequisites.wanted(spec, snapshot.names):
        try:
            if not adopt:
                refuse_adoption(one, snapshot)
            kind_of(one).preflight(one, snapshot)
        except SyncError as refusal:
            reasons[one.object_name] = snapshot.names.render(str(refusal))
    return reasons


def refuse_foreign_objects(conn: Connection, spec: PrerequisitesSpec, snapshot: Snapshot, *, adopt: bool) -> None:
    """Raise when an object of the stack would be refused, while nothing has been created yet."""
    try:
        with conn.transaction():
            there = read_snapshot(conn, PREFLIGHT_SECTIONS, prerequisites.wanted(spec, names_of_stack(conn)))
    except InsufficientPrivilege:
        # The list of missing requirements contains this one.
        return
    prerequisites.raise_refusals(spec, snapshot, refusals(spec, there, adopt=adopt).values())
