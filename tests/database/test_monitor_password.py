"""The monitor role's password, changed by a hand: the plugin does not see it, so drift's error says what to do."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bubble_sync.compare import drift
from bubble_sync.config.settings import read_settings
from tests.fixtures.site import Site
from tests.fixtures.specs import config

WAY_OUT = "set bubble-sync:monitorPassword to a new value, and run `pulumi up` as the owner"


@pytest.mark.parametrize(("role", "told"), [("watcher", True), ("somebody", False)])
def test_a_refused_password_of_the_monitor_role_and_of_no_other_names_the_way_out(site: Site, role: str, told: bool):
    site.by_hand("create role watcher login password 'changed by hand'")
    addresses = site.addresses
    settings = read_settings(
        config(access=json.dumps({"monitorRole": role}), monitorPassword="m" * 24, projectRef=None,
               supabaseUrl="https://sync.example.com")
    )  # fmt: skip
    url = f"postgresql://watcher:old@127.0.0.1:{addresses.database_port}/postgres"
    stack: Any = SimpleNamespace(
        name="test", options=(), environment={"TEST_DATABASE_URL": url}, settings=lambda: settings,
        completed=lambda text: text,
    )  # fmt: skip

    report = drift.check_stack(stack)

    assert "the password is wrong" in report.cause
    assert (WAY_OUT in report.cause) == told
