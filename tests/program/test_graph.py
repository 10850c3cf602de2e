"""What the program declares. Names, types and serialized providers are state format: stacks in the field hold them."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.providers.cron_job import CronJobProvider
from bubble_sync.providers.extension import ExtensionProvider
from bubble_sync.providers.function import FunctionProvider
from bubble_sync.providers.ledger import LedgerProvider
from bubble_sync.providers.prerequisites import PrerequisitesProvider
from bubble_sync.providers.vault_secret import VaultSecretProvider
from tests.fixtures.program import SECRET_SIGNATURE, Graph

COMPONENT, DYNAMIC = "bubble-sync:index:", "pulumi-python:dynamic/bubble_sync:"
# name -> type, parent
RESOURCES = {
    "sync": (COMPONENT + "SyncSetup", "anything-test"),
    "sync-prerequisites": (DYNAMIC + "Prerequisites", "sync"),
    "sync-ledger": (DYNAMIC + "Ledger", "sync"),
    "sync-extensions": (COMPONENT + "Extensions", "sync"),
    "sync-extensions-pg_cron": (DYNAMIC + "Extension", "sync-extensions"),
    "sync-extensions-pg_net": (DYNAMIC + "Extension", "sync-extensions"),
    "sync-extensions-supabase_vault": (DYNAMIC + "Extension", "sync-extensions"),
    "sync-secrets": (COMPONENT + "VaultSecrets", "sync"),
    "sync-secrets-supabase_url": (DYNAMIC + "VaultSecret", "sync-secrets"),
    "sync-secrets-service_role_key": (DYNAMIC + "VaultSecret", "sync-secrets"),
    "sync-functions": (COMPONENT + "SyncFunctions", "sync"),
    "sync-functions-send": (DYNAMIC + "Function", "sync-functions"),
    "sync-functions-settle": (DYNAMIC + "Function", "sync-functions"),
    "sync-functions-unanswered": (DYNAMIC + "Function", "sync-functions"),
    "sync-functions-record": (DYNAMIC + "Function", "sync-functions"),
    "sync-functions-invoke_bubble_sync_processor": (DYNAMIC + "Function", "sync-functions"),
    "sync-functions-invoke_bubble_sync_retry": (DYNAMIC + "Function", "sync-functions"),
    "sync-jobs": (COMPONENT + "CronJobs", "sync"),
    "sync-jobs-bubble-sync-processor": (DYNAMIC + "CronJob", "sync-jobs"),
    "sync-jobs-bubble-sync-retry": (DYNAMIC + "CronJob", "sync-jobs"),
}
ORDER = ("sync-prerequisites", "sync-ledger", "sync-extensions-pg_net", "sync-secrets-service_role_key",
         "sync-functions-send", "sync-functions-invoke_bubble_sync_retry", "sync-jobs-bubble-sync-processor",
         "sync-jobs-bubble-sync-retry")  # fmt: skip
PROVIDERS = {
    CronJobProvider: ("bubble_sync.providers.cron_job", "CronJobProvider"),
    ExtensionProvider: ("bubble_sync.providers.extension", "ExtensionProvider"),
    FunctionProvider: ("bubble_sync.providers.function", "FunctionProvider"),
    LedgerProvider: ("bubble_sync.providers.ledger", "LedgerProvider"),
    PrerequisitesProvider: ("bubble_sync.providers.prerequisites", "PrerequisitesProvider"),
    VaultSecretProvider: ("bubble_sync.providers.vault_secret", "VaultSecretProvider"),
}


def test_every_resource_has_its_pinned_name_type_and_parent(graph: Graph):
    declared = {name: (one.type, graph.parents[name]) for name, one in graph.resources.items()}

    assert declared == RESOURCES


def comes_after(graph: Graph, name: str) -> set[str]:
    """Everything that is made before, and removed after: a child waits for whatever its parent waits for."""
    before: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        waits_for = {*graph.dependencies.get(one, ()), graph.parents.get(one, "")} - before
        before |= waits_for
        todo += waits_for
    return before


def test_each_kind_waits_for_the_kind_before_it(graph: Graph):
    for earlier, later in pairwise(ORDER):
        assert earlier in comes_after(graph, later), f"{later} must wait for {earlier}"
        assert later not in comes_after(graph, earlier)


def test_an_object_that_goes_alone_goes_before_those_that_it_needs(graph: Graph):
    # The engine orders by the dependencies of what goes; a group that stays is not asked.
    assert "sync-functions-invoke_bubble_sync_retry" in graph.dependencies["sync-jobs-bubble-sync-retry"]
    assert "sync-secrets-service_role_key" in graph.dependencies["sync-functions-invoke_bubble_sync_retry"]


def test_only_secret_values_are_secret_and_both_are(graph: Graph):
    secret = {
        (name, key)
        for name, one in graph.resources.items()
        for key, value in one.inputs.items()
        if isinstance(value, dict) and SECRET_SIGNATURE in value
    }

    assert secret == {("sync-secrets-supabase_url", "value"), ("sync-secrets-service_role_key", "value")}


def test_the_key_is_in_no_other_input(graph: Graph):
    for name, one in graph.resources.items():
        if name != "sync-secrets-service_role_key":
            assert "hunter2" not in repr(one.inputs)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_state_holds_a_reference_to_the_provider_and_nothing_else(provider: type[ConvergingProvider], graph: Graph):
    stored = serialize_provider(provider())
    content = base64.b64decode(stored)

    for part in PROVIDERS[provider]:
        assert part.encode() in content
    assert len(content) < 100
    assert stored in {one.inputs.get("__provider") for one in graph.resources.values()}


def test_a_configured_provider_is_never_what_is_serialized():
    assert vars(CronJobProvider()) == {}
