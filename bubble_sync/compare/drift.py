"""Find drift of converged stacks, field by field: when each field changed, and how to repair or accept it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bubble_sync.compare.accept import Acceptance, acceptance
from bubble_sync.compare.diff import Change, ObjectDiff, State, compare_object, sections_to_judge
from bubble_sync.compare.liveness import LIVENESS_SECTIONS, Liveness, liveness_in
from bubble_sync.config.stacks import Stack
from bubble_sync.converge import ledger
from bubble_sync.database.database import Connection, Database
from bubble_sync.database.snapshot import Snapshot, read_accessible
from bubble_sync.errors import ConfigurationError, SyncError, Unreachable
from bubble_sync.model.secrets import configuration_keys
from bubble_sync.model.setup import desired_state, values_to_hide
from bubble_sync.specs import Owner, RecordedSpec, Spec, VaultSecretSpec

PRESENCE = "presence"
"""The field of an absent object."""


class StackStatus(StrEnum):
    """The state of a stack."""

    CLEAN = "clean"
    DRIFT = "drift"
    NEVER_UP = "never up"
    CONFIGURATION = "configuration"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class ChangedSince:
    """When a field changed: at a known time, or some time after one."""

    at: datetime
    exact: bool


@dataclass(frozen=True)
class DriftFinding:
    """One field that differs."""

    object_name: str
    change: Change
    since: ChangedSince | None
    """None when unknown."""
    reason: str
    """Why `pulumi up` refuses the repair, and what to do instead; empty when `up` repairs the field."""
    repair: str
    accept: Acceptance


@dataclass(frozen=True)
class DriftReport:
    """The drift of one stack."""

    stack: str
    status: StackStatus
    findings: tuple[DriftFinding, ...] = ()
    liveness: Liveness | None = None
    """None when the stack was not read, or never up."""
    cause: str = ""
    """Why the stack was not read."""
    next: str = ""
    """The next step unless clean."""


def sections_for(specs: Sequence[Spec]) -> set[str]:
    """Return the sections to read."""
    return sections_to_judge(specs) | {*LIVENESS_SECTIONS}


def read_drift(conn: Connection, specs: Sequence[Spec]) -> tuple[Snapshot, Liveness]:
    """Read a stack's drift, and whether the sync works."""
    snapshot = read_accessible(conn, sections_for(specs), specs)
    return snapshot, liveness_in(conn, specs, snapshot)


def drift(  # the reading, and the options of commands
    stack: str,
    specs: Sequence[Spec],
    snapshot: Snapshot,
    liveness: Liveness,
    *,
    arguments: str,
    secret_keys: Mapping[str, str],
    adopt: bool,
) -> DriftReport:
    """Compare every object; pure. `arguments` select the stack in a Pulumi command."""
    if not ledger.rows(snapshot):
        return DriftReport(stack, StackStatus.NEVER_UP, next="`bubble-sync diff`, then `pulumi up`")
    hide = values_to_hide(specs)
    findings = [
        DriftFinding(
            object_name=item.spec.object_name,
            change=change,
            since=_since(item.spec, change, snapshot),
            reason=item.reason if item.state in (State.FOREIGN, State.MISSING) else "",
            repair=f"pulumi up {arguments}",
            accept=acceptance(item.spec, change, arguments, secret_keys, snapshot.names),
        )
        for item in (compare_object(spec, snapshot, adopt=adopt, hide=hide) for spec in specs)
        for change in _changes(item, snapshot)
    ]
    status = StackStatus.DRIFT if findings else StackStatus.CLEAN
    return DriftReport(stack, status, tuple(findings), liveness, next=_next(findings))


def _next(findings: Sequence[DriftFinding]) -> str:
    if all(finding.reason for finding in findings):
        return "do what each finding says, then `bubble-sync drift`" if findings else ""
    return "`pulumi up` repairs; the `accept` line keeps the current value"


def _changes(item: ObjectDiff, snapshot: Snapshot) -> Iterator[Change]:
    """Yield the findings, ledger rows included; skip objects refused for another object's sake."""
    yield from item.changes
    if item.actual is None:
        yield Change(PRESENCE, "absent", "present")
    elif isinstance(item.spec, RecordedSpec) and item.spec.object_name not in ledger.rows(snapshot):
        yield Change("stack", "", item.spec.stack)


def _since(spec: Spec, change: Change, snapshot: Snapshot) -> ChangedSince | None:
    if isinstance(spec, VaultSecretSpec) and change.field in ("value", "description"):
        changed = next((row.get("updated_at") for row in snapshot.rows("secrets") if row["name"] == spec.name), None)
        if changed is not None:
            return ChangedSince(datetime.fromisoformat(changed), exact=True)
    recorded = (row.get("recorded_at") for row in snapshot.rows("recorded") if row["object"] == spec.object_name)
    return next((ChangedSince(datetime.fromisoformat(at), exact=False) for at in recorded if at), None)


_CHANGED_BY_HAND = (
    "If it was changed in the database: set bubble-sync:monitorPassword to a new value, and run `pulumi up` as "
    "the owner."
)


def check_stack(stack: Stack) -> DriftReport:
    """Compare one converged stack with its database; raises no error that an operator can fix."""
    try:
        report = _check_stack(stack)
        return replace(report, next=stack.completed(report.next))
    except ConfigurationError as problem:
        return DriftReport(stack.name, StackStatus.CONFIGURATION, cause=stack.completed(str(problem)))
    except SyncError as problem:
        return DriftReport(stack.name, StackStatus.UNREACHABLE, cause=stack.completed(str(problem)))


def _check_stack(stack: Stack) -> DriftReport:
    settings = stack.settings()
    specs = desired_state(settings, Owner(stack.name, settings.project(stack.environment) or ""))
    address = settings.address(stack.environment)
    database = Database(address, settings.names)
    try:
        snapshot, liveness = database.read("reading the stack", lambda conn: read_drift(conn, specs))
    except Unreachable as problem:
        if address.user != settings.access.monitor_role or "password" not in str(problem):
            raise
        # pulumi-postgresql does not detect the change, and repeating the known value is no change.
        raise Unreachable(f"{problem} {_CHANGED_BY_HAND}", problem.retry) from None
    finally:
        database.close()
    ledger.require_configured(ledger.rows(snapshot))
    return drift(
        stack.name,
        specs,
        snapshot,
        liveness,
        arguments=shlex.join(stack.options),
        secret_keys=configuration_keys(settings),
        adopt=settings.adopt != "never",
    )
