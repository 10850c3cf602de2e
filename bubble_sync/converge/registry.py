"""Map each kind of object to its module, and define what these modules have in common."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from bubble_sync.converge import cron_jobs, extensions, functions, ledger, prerequisites, triggers, vault_secrets
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot
from bubble_sync.specs import (
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    Observation,
    PrerequisitesSpec,
    Spec,
    TriggerSpec,
    VaultSecretSpec,
)

_S = TypeVar("_S", bound=Spec)


class Kind(Protocol[_S]):
    """The functions of a module for one kind of object."""

    @property
    def SECTIONS(self) -> tuple[str, ...]:
        """The parts to read for an observation."""

    def observe(self, spec: _S, snapshot: Snapshot) -> Observation[_S] | None:
        """Return the observed object, or None when missing."""

    def preflight(self, spec: _S, snapshot: Snapshot) -> None:
        """Raise when the object must not be changed; called only if a field differs."""

    def apply(self, conn: Connection, spec: _S, observed: Observation[_S] | None) -> None:
        """Create the object, or change the fields that differ."""

    def retention_reason(self, conn: Connection, spec: _S) -> str | None:
        """Return the reason to keep the object, or None."""

    def remove(self, conn: Connection, spec: _S, observed: Observation[_S]) -> None:
        """Remove the existing object."""


KINDS: Mapping[type[Spec], Kind[Any]] = MappingProxyType(
    {
        PrerequisitesSpec: prerequisites,
        LedgerSpec: ledger,
        ExtensionSpec: extensions,
        VaultSecretSpec: vault_secrets,
        FunctionSpec: functions,
        CronJobSpec: cron_jobs,
        TriggerSpec: triggers,
    }
)


def kind_of(spec: Spec) -> Kind[Any]:
    """Return the module for the object's kind."""
    return KINDS[type(spec)]
