"""The program itself says whether its arguments are those of the stack's configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pulumi
import pytest
from pulumi.runtime import config as runtime_config

from bubble_sync.config.settings import ProcessorSettings
from components.program import configured
from components.sync_setup import SyncSetupArgs, _own
from tests.fixtures.specs import config


@pytest.fixture
def args() -> Iterator[SyncSetupArgs]:
    """The arguments that a stack's configuration gives."""
    before = runtime_config.CONFIG.get()
    values = {
        f"bubble-sync:{key}": value for key, value in config(alerts="{}", alertWebhookUrl="https://h.example/x").items()
    }
    pulumi.runtime.set_all_config(
        {key: value.text for key, value in values.items()}, [key for key, value in values.items() if value.secret]
    )
    yield SyncSetupArgs.of(*configured())
    pulumi.runtime.set_all_config(before)


def test_arguments_of_the_configuration_are_none_of_its_own(args: SyncSetupArgs):
    assert _own(args) is False


def test_another_number_or_another_key_is_its_own(args: SyncSetupArgs):
    assert _own(replace(args, processor=ProcessorSettings(max_items=11))) is True
    assert _own(replace(args, secrets=replace(args.secrets, service_role_key="sb_secret_of_another_kind"))) is True
    assert _own(replace(args, alerts=None)) is True
    assert _own(replace(args, allow_http=True)) is True


def test_without_a_configuration_they_are_its_own(args: SyncSetupArgs):
    pulumi.runtime.set_all_config({})

    assert _own(args) is True


@pytest.mark.parametrize(("key", "own"), [(None, False), ("sb_secret_of_another_kind", True)])
def test_outputs_are_judged_by_their_values(args: SyncSetupArgs, key: str | None, own: bool):
    async def told() -> tuple[object, bool]:
        secret = pulumi.Output.secret(key or args.secrets.service_role_key)
        found = _own(replace(args, secrets=replace(args.secrets, service_role_key=secret)))
        assert isinstance(found, pulumi.Output)
        return await found.future(), await found.is_secret()

    assert asyncio.run(told()) == (own, False)
