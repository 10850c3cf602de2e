"""Drift of a converged stack, field by field: when each field changed, and how to repair or accept it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bubble_sync.compare.accept import Acceptance, acceptance
from bubble_sync.compare.diff import Change, Item, State, judge, parts_to_judge
from bubble_sync.compare.liveness import PARTS as SIGNS
from bubble_sync.compare.liveness import Signs, signs_in
from bubble_sync.converge import ledger
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found
from bubble_sync.database.snapshot_access import watched
from bubble_sync.model.setup import hidden
from bubble_sync.specs import RecordedSpec, Spec, VaultSecretSpec

PRESENCE = "presence"
"""The field of an absent object."""


class Standing(StrEnum):
    """The state of a stack."""

    CLEAN = "clean"
    DRIFT = "drift"
    NEVER_UP = "never up"
    CONFIGURATION = "configuration"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Since:
    """When a field changed: at a known time, or some time after one."""

    at: datetime
    exact: bool


@dataclass(frozen=True)
class Finding:
    """One field that differs."""

    object_name: str
    change: Change
    since: Since | None
    """None when unknown."""
    reason: str
    """Why `pulumi up` refuses the repair, and what to do instead; empty when `up` repairs the field."""
    repair: str
    accept: Acceptance


@dataclass(frozen=True)
class Report:
    """The drift of one stack."""

    stack: str
    standing: Standing
    findings: tuple[Finding, ...] = ()
    signs: Signs | None = None
    """None when the stack was not read, or never up."""
    cause: str = ""
    """Why the stack was not read."""
    next: str = ""
    """The next step unless clean."""


def parts_for(specs: Sequence[Spec]) -> set[str]:
    """Return the sections to read."""
    return parts_to_judge(specs) | {*SIGNS}


def read(conn: Connection, specs: Sequence[Spec]) -> tuple[Found, Signs]:
    """Read a stack's drift, and whether the sync works."""
    found = watched(conn, parts_for(specs), specs)
    return found, signs_in(conn, specs, found)


def drift(  # what was read, and how to speak of it
    stack: str,
    specs: Sequence[Spec],
    found: Found,
    signs: Signs,
    *,
    arguments: str,
    secret_keys: Mapping[str, str],
    adopt: bool,
) -> Report:
    """Compare every object; pure. `arguments` select the stack in a Pulumi command."""
    if not ledger.rows(found):
        return Report(stack, Standing.NEVER_UP, next="`bubble-sync diff`, then `pulumi up`")
    hide = hidden(specs)
    findings = [
        Finding(
            object_name=item.spec.object_name,
            change=change,
            since=_since(item.spec, change, found),
            reason=item.reason if item.state in (State.FOREIGN, State.MISSING) else "",
            repair=f"pulumi up {arguments}",
            accept=acceptance(item.spec, change, arguments, secret_keys),
        )
        for item in (judge(spec, found, adopt=adopt, hide=hide) for spec in specs)
        for change in _changes(item, found)
    ]
    standing = Standing.DRIFT if findings else Standing.CLEAN
    return Report(stack, standing, tuple(findings), signs, next=_next(findings))


def _next(findings: Sequence[Finding]) -> str:
    if all(finding.reason for finding in findings):
        return "do what each finding says, then `bubble-sync drift`" if findings else ""
    return "`pulumi up` repairs; the line at `accept` keeps what is there"


def _changes(item: Item, found: Found) -> Iterator[Change]:
    """Yield the findings, ledger rows included; skip objects refused for another object's sake."""
    yield from item.changes
    if item.actual is None:
        yield Change(PRESENCE, "absent", "present")
    elif isinstance(item.spec, RecordedSpec) and item.spec.object_name not in ledger.rows(found):
        yield Change("stack", "", item.spec.stack)


def _since(spec: Spec, change: Change, found: Found) -> Since | None:
    if isinstance(spec, VaultSecretSpec) and change.field in ("value", "description"):
        changed = next((row.get("updated_at") for row in found.rows("secrets") if row["name"] == spec.name), None)
        if changed is not None:
            return Since(datetime.fromisoformat(changed), exact=True)
    recorded = (row.get("recorded_at") for row in found.rows("recorded") if row["object"] == spec.object_name)
    return next((Since(datetime.fromisoformat(at), exact=False) for at in recorded if at), None)
