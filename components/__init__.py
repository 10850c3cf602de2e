"""Declare the set-up as one tree of ComponentResources, in order."""

from .program import key_facts, read_stack
from .sync_setup import AccessArgs, AlertsArgs, SyncSetup, SyncSetupArgs, VaultSecretsArgs

__all__ = ["AccessArgs", "AlertsArgs", "SyncSetup", "SyncSetupArgs", "VaultSecretsArgs", "key_facts", "read_stack"]
