"""Map each kind of object to its module."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bubble_sync.converge import cron_jobs, extensions, functions, ledger, prerequisites, vault_secrets
from bubble_sync.converge.kind import Kind
from bubble_sync.specs import (
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    PrerequisitesSpec,
    Spec,
    VaultSecretSpec,
)

KINDS: Mapping[type[Spec], Kind[Any]] = MappingProxyType(
    {
        PrerequisitesSpec: prerequisites,
        LedgerSpec: ledger,
        ExtensionSpec: extensions,
        VaultSecretSpec: vault_secrets,
        FunctionSpec: functions,
        CronJobSpec: cron_jobs,
    }
)


def kind_of(spec: Spec) -> Kind[Any]:
    """Return the module for the object's kind."""
    return KINDS[type(spec)]
