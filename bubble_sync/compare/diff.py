"""Changes that `up` would make, object by object, by the same observation, comparison and refusals as `up`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bubble_sync.compare.unmanaged import UNMANAGED_SECTIONS, UnmanagedObject, specs_to_find, unmanaged_objects
from bubble_sync.config.keys import masked
from bubble_sync.config.settings import NameSettings
from bubble_sync.converge import ledger, prerequisites, vault_secrets
from bubble_sync.converge.lifecycle import observe_in, preflight_change, sections_of
from bubble_sync.converge.preflight import refusals
from bubble_sync.converge.references import REFERENCE_SECTIONS, pattern_of
from bubble_sync.database.database import Database
from bubble_sync.database.snapshot import Snapshot, read_snapshot
from bubble_sync.errors import PrerequisiteMissing, SyncError
from bubble_sync.model.recorded import differing
from bubble_sync.model.setup import key_of, values_to_hide
from bubble_sync.specs import (
    Difference,
    LedgerSpec,
    Observation,
    PrerequisitesSpec,
    RecordedSpec,
    Spec,
    VaultSecretSpec,
    compare,
)


class State(StrEnum):
    """The state of an object against its spec."""

    EQUAL = "equal"
    CREATE = "create"
    ADOPT = "adopt"
    ADOPT_AND_CHANGE = "adopt and change"
    UPDATE = "update"
    FOREIGN = "foreign"
    MISSING = "missing prerequisite"


@dataclass(frozen=True)
class Change:
    """One field that differs; a secret shows only how the value differs."""

    field: str
    actual: object = None
    wanted: object = None
    secret: str = ""
    """For a secret: `differs` or `unreadable`."""


@dataclass(frozen=True)
class ObjectDiff:
    """One object with its change, and the reason for a refusal."""

    spec: Spec
    state: State
    actual: Observation[Spec] | None = None
    changes: tuple[Change, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """The comparison of one stack."""

    stack: str
    items: Sequence[ObjectDiff]
    unmanaged: Sequence[UnmanagedObject]
    names: NameSettings = field(default_factory=NameSettings)

    @property
    def clean(self) -> bool:
        """Return whether `up` would change nothing."""
        return all(item.state is State.EQUAL for item in self.items)

    @property
    def counts(self) -> Mapping[str, int]:
        """Count the objects by state, in the order of the states."""
        counted = Counter(item.state for item in self.items)
        return {state.value: counted[state] for state in State if counted[state]}


def find(database: Database, specs: Sequence[Spec]) -> Snapshot:
    """Read the comparison and the undo script's input in one round trip; raise ConfigurationError."""
    parts = sections_about(specs)
    work = "comparing the stack with the database"
    snapshot = database.read(
        work,
        lambda conn: read_snapshot(
            conn, tuple(sorted(parts)), (*specs, *specs_to_find(specs)), pattern_of(key_of(specs))
        ),
    )
    ledger.require_configured(ledger.rows(snapshot))
    return snapshot


def sections_about(specs: Sequence[Spec]) -> set[str]:
    """Return the sections for a comparison and an undo script."""
    return sections_to_judge(specs) | {*REFERENCE_SECTIONS, *UNMANAGED_SECTIONS, "definitions"}


def sections_to_judge(specs: Sequence[Spec]) -> set[str]:
    """Return the sections for judging objects."""
    return {part for spec in specs for part in sections_of(spec)}


def diff(stack: str, specs: Sequence[Spec], snapshot: Snapshot, *, adopt: bool = True) -> Comparison:
    """Compare every object; pure."""
    hide = values_to_hide(specs)
    items = [compare_object(spec, snapshot, adopt=adopt, hide=hide) for spec in specs]
    held_up = [_held_up(item, snapshot, adopt=adopt) for item in items]
    return Comparison(stack, held_up, unmanaged_objects(specs, snapshot), snapshot.names)


def compare_object(spec: Spec, snapshot: Snapshot, *, adopt: bool = True, hide: Sequence[str] = ()) -> ObjectDiff:
    """Return the change of one object; `hide` are values to keep out of every text."""
    there = observe_in(spec, snapshot)
    known = isinstance(spec, RecordedSpec) and spec.object_name in ledger.rows(snapshot)
    recorded = known or not isinstance(spec, RecordedSpec)
    differences = compare(spec, there) if there else ()
    if not recorded:
        # Adopting implies a missing ledger row.
        differences = tuple(one for one in differences if one.field not in ("stack", "project_ref"))
    changes = tuple(_change(spec, one, snapshot, hide) for one in differences)
    try:
        preflight_change(spec, snapshot, adopt=adopt)
    except SyncError as refusal:
        missing = isinstance(refusal, PrerequisiteMissing)
        reason = snapshot.names.render(str(refusal))
        return ObjectDiff(spec, State.MISSING if missing else State.FOREIGN, there, changes, reason)
    if there is None:
        reason = "the ledger lists it: it has been removed since" if known else ""
        return ObjectDiff(spec, State.CREATE, reason=reason)
    if recorded:
        return ObjectDiff(spec, State.UPDATE if changes else State.EQUAL, there, changes)
    return ObjectDiff(spec, State.ADOPT_AND_CHANGE if changes else State.ADOPT, there, changes)


def _held_up(item: ObjectDiff, snapshot: Snapshot, *, adopt: bool) -> ObjectDiff:
    """Refuse the prerequisites that other objects of the same `up` would fail on."""
    if not isinstance(item.spec, PrerequisitesSpec):
        return item
    reasons = refusals(item.spec, snapshot, adopt=adopt)
    if reasons.keys() <= ledger.rows(snapshot).keys():
        return item
    try:
        prerequisites.raise_refusals(item.spec, snapshot, reasons.values())
    except SyncError as refusal:
        state = State.FOREIGN if item.state is State.EQUAL else item.state
        return replace(item, state=state, reason=snapshot.names.render(str(refusal)))
    return item


def _change(spec: Spec, difference: Difference, snapshot: Snapshot, hide: Sequence[str]) -> Change:
    if difference.secret and isinstance(spec, VaultSecretSpec):
        return Change(difference.field, secret=vault_secrets.state_of_value(spec, snapshot))
    actual, wanted = difference.actual, difference.wanted
    if isinstance(spec, LedgerSpec) and difference.field == "settings":
        actual, wanted = differing(str(actual), str(wanted))
    return Change(difference.field, _shown(actual, hide), _shown(wanted, hide))


def _shown(value: object, hide: Sequence[str]) -> object:
    """Return a value fit to be shown: functions and jobs have held keys."""
    if isinstance(value, tuple):
        return [_shown(one, hide) for one in value]
    return masked(value, *hide) if isinstance(value, str) else value
