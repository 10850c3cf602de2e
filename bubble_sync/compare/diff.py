"""Changes that `up` would make, object by object, by the same observation, comparison and refusals as `up`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bubble_sync.compare.unmanaged import PARTS as BESIDE
from bubble_sync.compare.unmanaged import Beside, beside
from bubble_sync.config.keys import masked
from bubble_sync.converge import ledger, prerequisites, vault_secrets
from bubble_sync.converge.lifecycle import observed, parts_of, refuse
from bubble_sync.converge.preflight import refusals
from bubble_sync.converge.references import PARTS as USERS
from bubble_sync.converge.references import pattern_of
from bubble_sync.converge.registry import kind_of
from bubble_sync.database.database import Database
from bubble_sync.database.snapshot import Found, read
from bubble_sync.errors import PrerequisiteMissing, SyncError
from bubble_sync.model.setup import hidden, key_of
from bubble_sync.specs import (
    Difference,
    FunctionSpec,
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
class Item:
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
    items: Sequence[Item]
    beside: Sequence[Beside]

    @property
    def clean(self) -> bool:
        """Return whether `up` would change nothing."""
        return all(item.state is State.EQUAL for item in self.items)

    @property
    def counts(self) -> Mapping[str, int]:
        """Count the objects by state, in the order of the states."""
        counted = Counter(item.state for item in self.items)
        return {state.value: counted[state] for state in State if counted[state]}


def find(database: Database, specs: Sequence[Spec]) -> Found:
    """Read the comparison and the undo script's input in one round trip; raise ConfigurationError."""
    parts = parts_about(specs)
    work = "comparing the stack with the database"
    found = database.read(work, lambda conn: read(conn, tuple(sorted(parts)), specs, pattern_of(key_of(specs))))
    ledger.require_configured(ledger.rows(found))
    return found


def parts_about(specs: Sequence[Spec]) -> set[str]:
    """Return the sections for a comparison and an undo script."""
    return parts_to_judge(specs) | {*USERS, *BESIDE, "definitions"}


def parts_to_judge(specs: Sequence[Spec]) -> set[str]:
    """Return the sections for judging objects."""
    return {part for spec in specs for part in parts_of(kind_of(spec), spec)}


def diff(stack: str, specs: Sequence[Spec], found: Found, *, adopt: bool = True) -> Comparison:
    """Compare every object; pure."""
    hide = hidden(specs)
    items = [judge(spec, found, adopt=adopt, hide=hide) for spec in specs]
    return Comparison(stack, [_held_up(item, found, adopt=adopt) for item in items], beside(specs, found))


def judge(spec: Spec, found: Found, *, adopt: bool = True, hide: Sequence[str] = ()) -> Item:
    """Return the change of one object; `hide` are values to keep out of every text."""
    kind = kind_of(spec)
    there = observed(kind, spec, found)
    recorded = not isinstance(spec, RecordedSpec) or spec.object_name in ledger.rows(found)
    differences = compare(spec, there) if there else ()
    if not recorded:
        # Adopting implies a missing ledger row.
        differences = tuple(one for one in differences if one.field not in ("stack", "project_ref"))
    changes = tuple(_change(spec, one, found, hide) for one in differences)
    try:
        refuse(kind, spec, found, adopt=adopt)
    except SyncError as refusal:
        missing = isinstance(refusal, PrerequisiteMissing)
        return Item(spec, State.MISSING if missing else State.FOREIGN, there, changes, str(refusal))
    if there is None:
        reason = "the ledger knows it: it has been removed since" if _known(spec, found) else ""
        return Item(spec, State.CREATE, reason=reason)
    if recorded:
        return Item(spec, State.UPDATE if changes else State.EQUAL, there, changes)
    return Item(spec, State.ADOPT_AND_CHANGE if changes else State.ADOPT, there, changes)


def _held_up(item: Item, found: Found, *, adopt: bool) -> Item:
    """Refuse the prerequisites that other objects of the same `up` would fail on."""
    if not isinstance(item.spec, PrerequisitesSpec):
        return item
    reasons = refusals(item.spec, found, adopt=adopt)
    if reasons.keys() <= ledger.rows(found).keys():
        return item
    try:
        prerequisites.refuse_foreign(item.spec, found, reasons.values())
    except SyncError as refusal:
        state = State.FOREIGN if item.state is State.EQUAL else item.state
        return replace(item, state=state, reason=str(refusal))
    return item


def _known(spec: Spec, found: Found) -> bool:
    return isinstance(spec, RecordedSpec) and spec.object_name in ledger.rows(found)


def _change(spec: Spec, difference: Difference, found: Found, hide: Sequence[str]) -> Change:
    if difference.secret and isinstance(spec, VaultSecretSpec):
        return Change(difference.field, secret=vault_secrets.state_of_value(spec, found))
    return Change(difference.field, _shown(difference.actual, hide), _shown(difference.wanted, hide))


def _shown(value: object, hide: Sequence[str]) -> object:
    """Return a value fit to be shown: functions and jobs have held keys."""
    if isinstance(value, tuple):
        return [_shown(one, hide) for one in value]
    return masked(value, *hide) if isinstance(value, str) else value


def body_of(item: Item) -> tuple[str, str] | None:
    """Return the current and the new body of a function that differs."""
    changed = next((change for change in item.changes if change.field == "body"), None)
    if changed is None or not isinstance(item.spec, FunctionSpec):
        return None
    return str(changed.actual), str(changed.wanted)
