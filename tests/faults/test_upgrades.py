"""Stacks and databases of earlier versions, other packages and servers: nothing is made again, nothing changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.installation import servers
from tests.faults.conftest import Row
from tests.faults.upgrades import VERSIONS, environment, interpreter, of_program, program_of, upgrade, with_environment
from tests.fixtures.guard import short_folder
from tests.fixtures.platform import SETTINGS
from tests.fixtures.restoring import dump, restore, with_vault_key_of
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack
from tests.fixtures.tools import missing
from tests.stack.test_upgrades import MADE, OBJECTS, OF_ALERTS, take_settings_away

# Two programs or two servers each: tests/stack/test_upgrades.py has what `make test` takes of this.
pytestmark = pytest.mark.matrix

AREA = "upgrades"
WHOLE = {
    "processor.wake": "true",
    "processor.requestsPerTick": "4",
    "history.keepDays": "30",
    "alerts.dailyReportAt": "07:30",
}
#: With another body since the commit before; CHANGELOG has the reasons.
CHANGED = (
    "bubble_sync.settle", "bubble_sync.delete_old_runs", "bubble_sync.wake", "bubble_sync.wake_send",
    "bubble_sync.alert", "bubble_sync.alert_conditions", "bubble_sync.alert_rejected", "bubble_sync.alert_report",
    "bubble_sync.post_alert",
)  # fmt: skip
WEBHOOK = "https://example.com/services/hook"
#: What keeps its number for good: a change would lose runs, grants, or what others wrote down.
KEPT = """
    select 'job ' || jobname as object, jobid::text as id from cron.job
    union all select 'secret ' || name, id::text from vault.secrets
    union all select 'function ' || oid::regprocedure, oid::text from pg_proc
        where pronamespace = 'bubble_sync'::regnamespace or proname ~ 'bubble_sync'
    union all select 'table ' || oid::regclass, oid::text from pg_class
        where relnamespace = 'bubble_sync'::regnamespace and relkind = 'r'
    order by object
"""


def kept(site: Site) -> dict[str, str]:
    return {row["object"]: row["id"] for row in site.by_hand(KEPT)}


def configure_everything(stack: Stack) -> None:
    stack.configure("alertWebhookUrl", WEBHOOK, secret=True)
    for key, value in WHOLE.items():
        stack.configure(key, value)


def expect_settled(stack: Stack) -> None:
    """Two kinds of no change: what Pulumi previews, and what an `up` does."""
    stack.expect_no_changes()
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")


class TestVersions:
    """From an earlier version to this one, and back."""

    def test_a_stack_of_the_first_release_keeps_every_number_in_one_up(
        self, stack: Stack, site: Site, tmp_path: Path, tally: list[Row]
    ):
        old = of_program(stack, program_of(VERSIONS["0.1.0"], tmp_path / "old"))
        old.up()
        before = kept(site)

        stack.up()

        after = kept(site)
        assert {name: after[name] for name in before} == before
        expect_settled(stack)
        tally.append(Row(AREA, "0.1.0 to now", len(before), len(before), commands=1))

    @pytest.mark.parametrize("everything", [False, True], ids=["default settings", "every setting"])
    def test_a_stack_of_the_commit_before_previews_what_changed_and_one_up_is_enough(
        self, stack: Stack, site: Site, tmp_path: Path, tally: list[Row], everything: bool
    ):
        if everything:
            configure_everything(stack)
        old = of_program(stack, program_of(VERSIONS["before"], tmp_path / "old"))
        old.up()
        before = site.by_hand(OBJECTS)

        drift, changed_by_us = stack.drift(), CHANGED if everything else CHANGED[:1]
        new = OF_ALERTS if everything else {"sync-ledger": ["settings"]}
        if everything:
            assert {place.partition("[")[0] for place in drift.pop("sync-prerequisites")} == {"objects"}
        assert {name: drift.pop(name) for name in new} == new
        parts = [["body", "config[2]"] if name == "bubble_sync.wake" else ["body"] for name in changed_by_us]
        assert sorted(drift.values()) == sorted(parts)
        stack.up()
        expect_settled(stack)

        take_settings_away(stack, site)
        after = site.by_hand(OBJECTS)
        ids = {row["object"]: row["id"] for row in after}
        assert {row["object"]: row["id"] for row in before}.items() <= ids.items()
        changed = {
            row["object"].removeprefix("in the ledger: ").partition("(")[0] for row in after if row not in before
        }
        made = [f"bubble_sync.{one}" for one in MADE if everything]
        assert changed == {f"function {name}" for name in (*changed_by_us, *made)}
        which = "every setting" if everything else "defaults"
        tally.append(Row(AREA, f"the commit before to now, {which}", len(before), len(before), commands=1))

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_step_back_is_one_up_and_the_step_forward_too(
        self, stack: Stack, site: Site, tmp_path: Path, tally: list[Row], version: str
    ):
        old = of_program(stack, program_of(VERSIONS[version], tmp_path / "old"))
        stack.up()
        before = kept(site)

        said = old.up()

        assert "Traceback" not in said
        stayed = kept(site)
        assert stayed.items() <= before.items()
        # The functions that the earlier version does not know are removed, and nothing else.
        assert all(name.startswith("function bubble_sync.") for name in before.keys() - stayed.keys())
        stack.up()
        expect_settled(stack)
        assert kept(site).keys() == before.keys()
        assert kept(site).items() >= stayed.items()
        tally.append(Row(AREA, f"now to {version} and forward", len(before), len(before), commands=1))


SDKS = ("pulumi==3.216.0", "pulumi")
PYTHONS = ("3.12", "3.13")


class TestPackages:
    """Another SDK, another Python, with today's CLI."""

    @pytest.mark.parametrize("sdk", SDKS, ids=["3.216", "newest"])
    def test_a_stack_is_the_same_with_another_sdk(
        self, converged: Stack, site: Site, tmp_path: Path, tally: list[Row], sdk: str
    ):
        before = site.by_hand(OBJECTS)
        venv = environment(tmp_path / "venv", interpreter("3.11"), sdk)
        version = re.findall(
            r"pulumi-(\d+\.\d+\.\d+)\.dist-info", " ".join(str(one) for one in venv.rglob("*.dist-info"))
        )
        other = with_environment(converged, tmp_path / "project", venv)
        expect_settled(other)
        other.configure("processor.maxItems", "25")
        other.up()
        converged.expect_no_changes()
        assert [row["id"] for row in site.by_hand(OBJECTS)] == [row["id"] for row in before]
        tally.append(Row(AREA, f"Pulumi SDK {version[0]}", 4, 4, commands=1))

    @pytest.mark.parametrize("python", PYTHONS)
    def test_a_stack_is_the_same_with_another_python(
        self, converged: Stack, site: Site, tmp_path: Path, tally: list[Row], python: str
    ):
        before = site.by_hand(OBJECTS)
        venv = environment(tmp_path / "venv", interpreter(python))
        other = with_environment(converged, tmp_path / "project", venv)
        expect_settled(other)
        other.configure("processor.maxItems", "25")
        other.up()
        converged.expect_no_changes()
        assert [row["id"] for row in site.by_hand(OBJECTS)] == [row["id"] for row in before]
        tally.append(Row(AREA, f"Python {python}", 4, 4, commands=1))


@pytest.fixture
def old_server(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform of the oldest supported PostgreSQL."""
    if all(server.major != 15 or not server.cron for server in servers()):
        missing("PostgreSQL 15 with pg_cron")
    platform = Platform(short_folder(pytestconfig))
    monkeypatch.setenv("POSTGRES", "15")
    try:
        platform.start(SETTINGS)
        monkeypatch.setenv("POSTGRES", "17")
        yield platform
    finally:
        platform.remove()


def through(stack: Stack, platform: Platform) -> Stack:
    return stack.through(platform.addresses().database_url)


class TestServers:
    """PostgreSQL 15 to 17."""

    def test_a_dump_of_the_oldest_server_needs_one_up_on_the_newest(
        self, stack: Stack, site: Site, old_server: Platform, tmp_path: Path, tally: list[Row]
    ):
        old = Site(old_server.addresses(), Database(read_database_url(old_server.addresses().database_url)))
        before = through(stack, old_server)
        before.up()
        numbers = {name: one for name, one in kept(old).items() if name.startswith(("job", "secret"))}
        old.db.close()

        # pg_cron 1.4 has another argument there, and the dump has the rights to its functions.
        restore(dump(old, tmp_path / "backup"), site, but="cron.unschedule(")
        with with_vault_key_of(old, site):
            stack.up()
            expect_settled(stack)
            after = kept(site)
        assert {name: after[name] for name in numbers} == numbers
        tally.append(Row(AREA, "PostgreSQL 15 to 17, dumped and restored", len(numbers), len(numbers), commands=1))

    def test_an_upgraded_cluster_needs_one_up_at_most(
        self, stack: Stack, old_server: Platform, pytestconfig: pytest.Config, tally: list[Row]
    ):
        before = through(stack, old_server)
        before.up()
        old = Site(old_server.addresses(), Database(read_database_url(old_server.addresses().database_url)))
        numbers = {name: one for name, one in kept(old).items() if not name.startswith("function")}
        old.db.close()

        newer = upgrade(old_server, short_folder(pytestconfig), 17)
        try:
            newer.start(SETTINGS)
            site = Site(newer.addresses(), Database(read_database_url(newer.addresses().database_url)))
            before.up()
            expect_settled(before)
            after = kept(site)
            site.db.close()
        finally:
            newer.remove()
        assert {name: after[name] for name in numbers} == numbers
        tally.append(Row(AREA, "PostgreSQL 15 to 17, pg_upgrade", len(numbers), len(numbers), commands=1))
