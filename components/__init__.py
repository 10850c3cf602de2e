"""Declare the set-up as one tree of ComponentResources, in order."""

from bubble_sync.config.settings import AlertSettings, ProcessorSettings, RetrySettings

from .program import key_facts, read_stack
from .sync_setup import AccessArgs, AlertsArgs, SyncSetup, SyncSetupArgs, VaultSecretsArgs

__all__ = [
    "AccessArgs",
    "AlertSettings",
    "AlertsArgs",
    "ProcessorSettings",
    "RetrySettings",
    "SyncSetup",
    "SyncSetupArgs",
    "VaultSecretsArgs",
    "key_facts",
    "read_stack",
]
