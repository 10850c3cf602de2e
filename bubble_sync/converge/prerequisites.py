"""Check the prerequisites, which are never changed; without them nothing is created."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bubble_sync.config.settings import NameSettings
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, required_values
from bubble_sync.errors import ForeignObject, PrerequisiteMissing
from bubble_sync.formatting import format_list
from bubble_sync.specs import (
    CronJobSpec,
    FunctionSpec,
    Observation,
    PrerequisitesSpec,
    RecordedSpec,
    TriggerSpec,
    VaultSecretSpec,
)
from bubble_sync.sql_loader import all_functions

SECTIONS = ("queue", "refused", "server")


def observe(spec: PrerequisitesSpec, snapshot: Snapshot) -> Observation[PrerequisitesSpec]:
    """Return the sorted list of missing requirements; a missing part does not raise."""
    (queue,), (server,) = snapshot.rows("queue"), snapshot.rows("server")
    missing = [
        *queue["missing"],
        *server["missing"],
        *_refused_labels(snapshot, queue["labels"]),
        *_refused_by_checks(snapshot),
    ]
    return Observation(spec.model_copy(update={"missing": tuple(sorted(missing))}))


def preflight(spec: PrerequisitesSpec, snapshot: Snapshot) -> None:
    """Raise PrerequisiteMissing with the complete list."""
    raise PrerequisiteMissing(_lacking(observe(spec, snapshot).actual.missing))


def raise_refusals(spec: PrerequisitesSpec, snapshot: Snapshot, reasons: Collection[str]) -> None:
    """Raise one error with all refused objects and all missing requirements."""
    if not reasons:
        return
    missing = observe(spec, snapshot).actual.missing
    listed = format_list(sorted(reason.replace(": nothing was changed", "") for reason in reasons))
    in_the_way = f"objects of the sync are refused; nothing was changed. Correct them, then run again:{listed}"
    raise PrerequisiteMissing(f"{_lacking(missing)}\n{in_the_way}") if missing else ForeignObject(in_the_way)


def wanted(spec: PrerequisitesSpec, names: NameSettings) -> list[RecordedSpec]:
    """Return identity specs of the stack's objects."""
    ours = {one.name: one for one in all_functions(names.render)}
    return [_named(ours, *name.split(" ", 1)) for name in spec.objects]


def apply(conn: Connection, spec: PrerequisitesSpec, observed: Observation[PrerequisitesSpec] | None) -> None:
    """Do nothing: `preflight` rejects missing requirements."""


def retention_reason(conn: Connection, spec: PrerequisitesSpec) -> str | None:
    """Return None: prerequisites are not ours to keep."""
    return None


def remove(conn: Connection, spec: PrerequisitesSpec, observed: Observation[PrerequisitesSpec]) -> None:
    """Do nothing."""


def _named(ours: Mapping[str, FunctionSpec], kind: str, name: str) -> RecordedSpec:
    if kind == FunctionSpec.kind:
        return ours[name]
    if kind == CronJobSpec.kind:
        return CronJobSpec(name=name, schedule="* * * * *", command="", stack="")
    if kind == TriggerSpec.kind:
        return TriggerSpec(name=name, definition="", stack="")
    return VaultSecretSpec(name=name, value="-", stack="")


def _lacking(missing: Sequence[str]) -> str:
    listed = format_list(missing)
    return f"the database lacks requirements of the sync; nothing was changed. Provide them, then run again:{listed}"


def _refused_labels(snapshot: Snapshot, labels: dict[str, list[str] | None]) -> list[str]:
    return [
        f"{column} '{value}' in the enum of {snapshot.names.queue}.{column}"
        for column, allowed in labels.items()
        for value in required_values(snapshot.names)[column]
        if allowed is not None and value not in allowed
    ]


def _refused_by_checks(snapshot: Snapshot) -> list[str]:
    return [
        f"{row['rule']['column']} '{row['value']}' in the constraint {row['rule']['name']} of {snapshot.names.queue}"
        for row in snapshot.rows("refused")
    ]
