"""A second stack with names of its own in the database of the first, through the real Pulumi CLI."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from bubble_sync.config.stacks import run_pulumi
from bubble_sync.local.stack import LocalStack
from tests.database.test_stack_names import NAMES, QUEUE, STOCK
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack


class _Shop(LocalStack):
    @property
    def arguments(self) -> tuple[str, ...]:
        return ("--stack", "shop", "--config-file", str(self.config_file))


@pytest.fixture
def shop(converged: Stack, site: Site) -> Stack:
    """The stack `shop`, with the configuration of the first and names of its own; never up."""
    site.by_hand(*QUEUE)
    first = converged.local
    file = first.config_file.with_name("Pulumi.shop.yaml")
    made = run_pulumi(["stack", "init", "shop", "--no-select"], first.config_file.parent, first.environment)
    assert made.returncode == 0, made.stderr
    shutil.copyfile(first.config_file, file)
    values = {one.name: getattr(first, one.name) for one in fields(LocalStack)}
    stack = Stack(_Shop(**{**values, "config_file": Path(file)}))
    for key, value in NAMES.items():
        for place, one in enumerate(value) if isinstance(value, list) else ((None, value),):
            stack.configure(f"names.{key}" + ("" if place is None else f"[{place}]"), one)
    return stack


def test_a_second_stack_goes_up_drifts_is_repaired_and_destroyed_beside_the_first(
    converged: Stack, shop: Stack, site: Site
):
    before = site.by_hand(STOCK)

    shop.up()
    shop.expect_no_changes()
    site.by_hand(
        "drop function shop_sync.record",
        "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'shop-sync-retry'",
    )
    drifted = shop.drift()
    found = json.loads(shop.ours("drift", "--json").stdout)
    shop.up()
    shop.expect_no_changes()
    paused = shop.sync("pause", "--job", "shop-sync-retry", "--reason", "try")
    resumed = shop.sync("resume", "--job", "retry")
    verified = json.loads(shop.ours("verify", "--json").stdout)
    doctor = shop.ours("doctor")
    ran = shop.sync("run-now", expect=0)
    destroyed = shop.run("destroy", "--yes", "--skip-preview")

    assert sorted(drifted) == ["sync-functions-record", "sync-jobs-shop-sync-retry"]
    assert {one["object"] for one in found["findings"]} == {"function shop_sync.record", "job shop-sync-retry"}
    assert "job shop-sync-retry of stack shop is paused" in paused
    assert "job shop-sync-retry of stack shop is active" in resumed
    assert {one["id"]: one["status"] for one in verified["lines"]}["jobs"] == "ok"
    assert "bubble_sync" not in doctor.stdout
    assert "run: SELECT public.invoke_shop_sync_processor()  (job shop-sync-processor" in ran
    assert "kept" in destroyed
    assert site.by_hand(STOCK) == before
    assert site.by_hand("select from cron.job where jobname like 'shop-sync-%'") == []
    converged.expect_no_changes()


def test_a_taken_prefix_is_refused_in_one_line(converged: Stack, shop: Stack, site: Site):
    before = site.by_hand(STOCK)
    shop.configure("names.prefix", "bubble-sync")

    said = shop.up(expect=1)

    assert "the ledger in this database names stack 'local', but this is stack 'shop'" in said
    assert "Traceback" not in said
    assert site.by_hand(STOCK) == before


def test_names_that_cannot_be_are_refused_together_a_line_for_each(shop: Stack):
    wrong = {
        "prefix": ("bubble-sync-2", "contains the default prefix"),
        "edgeFunction": ("../admin", "cannot name an Edge Function"),
        "queue": ('"my queue"', "cannot name the queue"),
        "processAction": ("it's", "is not a word"),
    }
    for key, (value, _) in wrong.items():
        shop.configure(f"names.{key}", value)

    said = shop.run("preview", expect=1)

    for key, (value, why) in wrong.items():
        assert f"bubble-sync:names.{key}: {value!r} {why}" in said
    assert "Traceback" not in said


@pytest.mark.matrix
def test_another_prefix_for_a_stack_that_is_up_is_refused_before_anything_changes(converged: Stack, site: Site):
    before = site.by_hand(STOCK)
    converged.configure("names.prefix", "shop-sync")

    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        said = converged.run(*command, expect=1)
        assert (
            "the prefix of a stack that is up cannot change from bubble-sync to shop-sync: nothing was changed" in said
        )
        assert "Traceback" not in said

    assert site.by_hand(STOCK) == before
