"""A resource that is replaced, renamed or given another parent: what it manages stays as it is, and where it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bubble_sync.database.database import Row
from bubble_sync.local.platform import Platform
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack, lay_out_program

OBJECTS = """
    select 'job ' || jobname as object, jobid::text as id from cron.job
    union all select 'function ' || oid::regproc::text, oid::text from pg_proc where prosrc ~ 'bubble_sync'
    union all select 'secret ' || name, id::text from vault.secrets order by object
"""
LEDGER = "select object, stack, origin, claim from bubble_sync.ledger where object <> 'settings' order by object"
OURS = 'sync = SyncSetup("sync", SyncSetupArgs.of(settings, project_ref))'
RENAMED = OURS.replace('"sync"', '"portal"')
ALIASED = RENAMED[:-1] + ', pulumi.ResourceOptions(aliases=[pulumi.Alias(name="sync")]))'
WRAPPED = """
class Shop(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("shop:index:Shop", "shop")
        args = SyncSetupArgs.of(settings, project_ref)
        self.sync = SyncSetup("sync", args, pulumi.ResourceOptions(parent=self{options}))
        self.register_outputs({{}})

sync = Shop().sync
"""
BEFORE_REPLACE = f"""
def before_replace(one):
    return pulumi.ResourceTransformResult(
        one.props, pulumi.ResourceOptions.merge(one.opts, pulumi.ResourceOptions(delete_before_replace=True))
    )

pulumi.runtime.register_resource_transform(before_replace)
{OURS}
"""
PROCESSOR, RETRY, URL = "sync-jobs-bubble-sync-processor", "sync-jobs-bubble-sync-retry", "sync-secrets-supabase_url"


@dataclass
class Program:
    """A program of one's own around `SyncSetup`, and the stack that it has made."""

    stack: Stack
    site: Site
    platform: Platform
    before: Sequence[Row] = ()

    def write(self, make: str) -> None:
        """Write the program, which makes the set-up as told."""
        text = (CHECKOUT / "__main__.py").read_text()
        assert text.count(OURS) == 1
        (self.stack.local.checkout / "__main__.py").write_text(text.replace(OURS, make))

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the state."""
        done = self.stack.local.pulumi("stack", "export", config=False)
        found: list[dict[str, Any]] = json.loads(done.stdout)["deployment"]["resources"]
        return found

    def urn(self, name: str) -> str:
        return next(one["urn"] for one in self.resources() if one["urn"].endswith(f"::{name}"))

    def assert_kept(self) -> None:
        """Everything has the identity it had, the state names it, the next command is quiet, and the sync works."""
        self.assert_same()
        self.stack.expect_no_changes()
        self.sync()

    def assert_same(self) -> None:
        """Everything has the identity it had, and the state names it."""
        assert self.site.by_hand(OBJECTS) == self.before
        outputs = self.stack.outputs()["jobids"]
        jobs = {row["object"].split()[1]: row["id"] for row in self.before if row["object"].startswith("job ")}
        assert outputs == jobs
        claims = {row["claim"] for row in self.site.by_hand(LEDGER)}
        assert claims == {one["outputs"]["claim"] for one in self.resources() if "claim" in one.get("outputs", ())}

    def sync(self) -> None:
        """Sign a person up, and have it synced by the processor's own command."""
        item = self.platform.sign_up(f"{len(self.stack.said)}@example.com")
        self.stack.sync("run-now", "--yes", "--wait")
        found = self.site.by_hand(f"select status from public.sync_queue where id = '{item.item_id}'")
        assert found == [{"status": "completed"}]

    def destroy(self, *options: str) -> str:
        said = self.stack.run("destroy", "--yes", "--skip-preview", *options)
        assert self.site.by_hand(OBJECTS) == []
        return said


@pytest.fixture
def program(converged: Stack, site: Site, platform: Platform, tmp_path: Path) -> Program:
    """A stack that is up, by the program as it stands."""
    folder = lay_out_program(tmp_path / "project", but=("__main__.py",))
    stack = Stack(replace(converged.local, checkout=folder), converged.said)
    made = Program(stack, site, platform, site.by_hand(OBJECTS))
    made.write(OURS)
    return made


def test_what_is_replaced_tainted_or_renamed_in_the_state_stays(program: Program):
    said = program.stack.run("up", "--yes", "--skip-preview", "--replace", f"**{PROCESSOR}")
    assert "kept job bubble-sync-processor: another resource of this stack manages it now" in said
    program.assert_same()

    program.stack.run("up", "--yes", "--skip-preview", "--target-replace", program.urn(URL))
    program.stack.run("state", "taint", program.urn(RETRY), "--yes")
    program.stack.run("state", "rename", program.urn(PROCESSOR), "other-name", "--yes")
    program.stack.up()
    program.assert_kept()

    program.destroy()


def as_0_1_0_left_it(program: Program) -> None:
    """Take out of state and ledger what that version did not write."""
    state = json.loads(program.stack.local.pulumi("stack", "export", config=False).stdout)
    for one in state["deployment"]["resources"]:
        one.get("outputs", {}).pop("claim", None)
        for props in (one.get("inputs", {}), one.get("outputs", {})):
            props.pop("objects", None)
    file = program.stack.local.checkout / "state.json"
    file.write_text(json.dumps(state))
    program.stack.run("stack", "import", "--file", str(file))
    program.site.by_hand("alter table bubble_sync.ledger drop column if exists place, drop column claim")


def test_a_stack_of_0_1_0_shows_no_difference_is_replaced_without_a_gap_or_removed_whole(program: Program):
    as_0_1_0_left_it(program)
    program.stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")

    program.write(RENAMED)
    program.stack.up()
    program.assert_kept()

    as_0_1_0_left_it(program)
    program.destroy()


@pytest.mark.matrix
def test_a_whole_stack_that_is_replaced_stays(program: Program):
    program.stack.run("up", "--yes", "--skip-preview", "--replace", "**")
    program.assert_kept()

    assert "another resource" not in program.destroy()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("make", [RENAMED, WRAPPED.format(options="")], ids=["renamed", "wrapped"])
def test_a_component_with_another_name_or_parent_takes_over_what_the_old_one_made(program: Program, make: str):
    program.write(make)
    program.stack.up()
    program.assert_kept()

    program.destroy()


@pytest.mark.matrix
def test_a_rename_that_failed_and_was_taken_back_leaves_no_claim_behind(program: Program):
    program.write(f"{RENAMED}\nsync.jobids['bubble-sync-processor'].apply(lambda _: 1 / 0)")
    program.stack.up(expect=1)
    program.write(OURS)

    program.stack.up()

    program.assert_kept()
    program.destroy()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "make", [ALIASED, WRAPPED.format(options=", aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]")],
    ids=["renamed", "wrapped"],
)  # fmt: skip
def test_with_an_alias_nothing_is_to_do(program: Program, make: str):
    program.write(make)

    said = program.stack.up()

    assert "21 unchanged" in said
    program.assert_kept()


def test_what_is_deleted_before_it_is_replaced_stays(program: Program):
    program.stack.configure("adopt", "never")
    program.write(BEFORE_REPLACE)

    said = program.stack.run("up", "--yes", "--skip-preview", "--replace", f"**{PROCESSOR}", "--replace", f"**{URL}")

    assert "kept job bubble-sync-processor: the program still declares it" in said
    assert "kept secret supabase_url: the program still declares it" in said
    program.assert_same()

    # The provider of the resources is replaced too: their deletes come in the process of the old one.
    program.stack.run("up", "--yes", "--skip-preview", "--replace", "**")

    program.assert_kept()
    program.destroy("--run-program")


def test_what_the_program_declares_no_more_is_removed(program: Program):
    program.write("import types; sync = types.SimpleNamespace(jobids={}, function_names=[], extension_versions={})")

    program.stack.up()

    assert program.site.by_hand(OBJECTS) == []
