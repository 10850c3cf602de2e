"""A set-up that is found by its database URL alone: what the ledger tells of it, and what nobody can know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from bubble_sync.config.database_url import DatabaseAddress, read_database_url
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing, PrivilegeMissing
from bubble_sync.health.doctor import doctor
from bubble_sync.health.failures import failures
from bubble_sync.health.runs import runs
from bubble_sync.health.status import status
from bubble_sync.health.verify import ChecklistLine, verify
from bubble_sync.model.setup import desired_state
from bubble_sync.records.set_ups import SetUp, find_set_up
from bubble_sync.specs import LedgerSpec, Owner, PrerequisitesSpec
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK
from tests.fixtures.troubles import OF_THE_GUIDE, OTHERS, stored

MONITOR, PASSWORD = "bubble_monitor", "a-monitor-password-of-some-length"
ACCESS = {"access": json.dumps({"monitorRole": MONITOR}), "monitorPassword": PASSWORD}
SHOP = '{"prefix": "shop-sync"}'
TROUBLES = {
    name: {**OF_THE_GUIDE, **OTHERS}[name]
    for name in (
        "the jobs do not execute",
        "the secrets are not configured",
        "a job's schedule was changed",
        "the guide's function was pasted over ours",
        "the key is the instruction's placeholder",
    )
}


def address(site: Site, role: str = "postgres") -> DatabaseAddress:
    if role == "postgres":
        return site.db._pool._address
    return read_database_url(f"postgresql://{role}:p@127.0.0.1:{site.addresses.database_port}/postgres")


def found(site: Site, stack: str | None = None) -> SetUp:
    return find_set_up(address(site), "DATABASE_URL", stack)


def secrets_line(site: Site) -> ChecklistLine:
    (line,) = [line for line in verify(site.db, found(site).settings, STACK, None).lines if line.id == "secrets"]
    return line


def test_the_recorded_settings_find_nothing_that_the_configuration_does_not(converged: Site):
    set_up_here = found(converged)

    assert (set_up_here.stack, set_up_here.lacking, set_up_here.other_version) == (STACK, "", "")
    with_configuration = diagnose(converged)
    alone = doctor(converged.db, set_up_here.settings, STACK)
    assert (alone.findings, alone.unknown, alone.checked) == (
        with_configuration.findings, with_configuration.unknown, with_configuration.checked,
    )  # fmt: skip
    assert status(converged.db, set_up_here.settings, STACK).jobs == status(converged.db, working(), STACK).jobs


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_found_as_with_the_configuration(converged: Site, name: str):
    trouble = TROUBLES[name]
    converged.by_hand(*trouble.by_hand)

    causes = [one.id for one in doctor(converged.db, found(converged).settings, STACK).causes]

    assert trouble.cause in causes
    assert causes == [one.id for one in diagnose(converged).causes]


def test_secrets_that_nobody_has_written_since_are_those_of_up(converged: Site):
    line = secrets_line(converged)

    assert (line.status, line.evidence) == (
        "ok", "supabase_url, service_role_key, not written since `pulumi up` recorded them",
    )  # fmt: skip


def test_of_a_key_that_was_written_since_the_value_is_not_known(converged: Site):
    converged.by_hand(*stored("service_role_key", "sb_secret_of_another_hand"))

    line = secrets_line(converged)
    (finding,) = doctor(converged.db, found(converged).settings, STACK).findings

    assert line.status == "unknown"
    assert "secret service_role_key was written at " in line.evidence
    assert (finding.id, finding.level, finding.object) == ("secret_differs", "info", "secret service_role_key")
    assert re.match(r"it was written at 20[-0-9]{8} [0-9:]{8} UTC, after .* is not known here$", finding.evidence)


def test_of_a_url_that_was_written_since_the_value_is_compared(converged: Site):
    converged.by_hand(*stored("supabase_url", "https://zyxwvutsrqponmlkjihg.supabase.co"))

    assert secrets_line(converged).status == "no"
    assert "secret_wrong_project" in [one.id for one in doctor(converged.db, found(converged).settings, STACK).causes]


def test_a_key_that_up_has_written_since_is_as_up_left_it(converged: Site):
    converged.by_hand(*stored("service_role_key", "sb_secret_of_another_hand"))
    set_up(converged, working())

    assert secrets_line(converged).status == "ok"


@pytest.fixture
def watched(site: Site) -> Iterator[Site]:
    """The monitor role's connection to a stack that has one."""
    set_up(site, working(**ACCESS))
    role = site.as_role(
        MONITOR,
        f"grant usage on schema bubble_sync to {MONITOR}",
        f"grant execute on function bubble_sync.observe(text) to {MONITOR}",
    )
    yield role
    role.db.close()


def test_the_monitor_role_is_enough_and_what_it_cannot_read_is_unknown(site: Site, watched: Site):
    set_up_here = find_set_up(address(site, MONITOR), "DATABASE_URL", None)
    settings = set_up_here.settings

    assert (set_up_here.stack, set_up_here.lacking, settings.access.monitor_role) == (STACK, "", MONITOR)
    lines = {line.id: line for line in verify(watched.db, settings, STACK, None).lines}
    assert [lines[name].status for name in ("extensions", "secrets", "functions", "jobs")] == ["ok"] * 4
    assert lines["queue"].status == "unknown"
    unknown = doctor(watched.db, settings, STACK).unknown
    assert "vault.decrypted_secrets" in unknown["secret_missing"]
    site.by_hand("update cron.job set active = false", *stored("service_role_key", "sb_secret_of_another_hand"))
    lines = {line.id: line for line in verify(watched.db, settings, STACK, None).lines}
    assert (lines["jobs"].status, lines["secrets"].status) == ("no", "unknown")


def test_a_role_without_any_right_reads_what_it_lacks(converged: Site):
    poor = converged.as_role("poor")
    with pytest.raises(PrivilegeMissing, match="poor may not read a stack that is postgres's"):
        find_set_up(address(converged, "poor"), "DATABASE_URL", None)
    poor.db.close()


def test_a_ledger_of_an_earlier_version_has_no_settings_and_what_happened_is_read_all_the_same(converged: Site):
    converged.by_hand(
        "delete from bubble_sync.ledger where object = 'settings'", "alter table bubble_sync.ledger drop settings"
    )

    set_up_here = found(converged)

    assert set_up_here.lacking.startswith("the ledger of stack test holds no settings yet: run `pulumi up` once")
    assert runs(converged.db, set_up_here.settings, STACK, 10).jobs
    assert failures(converged.db, STACK, None, 10).unknown == {}


def test_a_database_without_a_set_up_is_said_to_have_none(site: Site):
    with pytest.raises(PrerequisiteMissing, match="holds no ledger of bubble-sync"):
        found(site)


def test_of_two_set_ups_in_a_database_one_is_chosen_by_its_stack(converged: Site):
    shop = Site(converged.addresses, type(converged.db)(address(converged), working(names=SHOP).names))
    for spec in desired_state(working(names=SHOP), Owner("shop")):
        if not isinstance(spec, PrerequisitesSpec):
            shop.converge(spec)
    shop.db.close()

    with pytest.raises(ConfigurationError, match="holds the stacks test, shop: choose one with --stack"):
        found(converged)
    with pytest.raises(ConfigurationError, match="holds no stack prod, but test, shop: choose one with --stack"):
        found(converged, "prod")
    assert found(converged, STACK).names.schema_name == "bubble_sync"
    assert found(converged, "shop").names.schema_name == "shop_sync"


OF_A_LEDGER = "bubble-sync: which objects each stack made or adopted"


def other_ledger(schema: str, *rows: str) -> tuple[str, ...]:
    """Return statements that make another ledger of our role, with rows of object, stack, origin and settings."""
    return (
        "set role postgres",
        f'create schema "{schema}"',
        f'create table "{schema}".ledger (object text, stack text, origin text, settings text)',
        f"comment on table \"{schema}\".ledger is '{OF_A_LEDGER}'",
        *(f'insert into "{schema}".ledger values ({row})' for row in rows),
        "reset role",
    )


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(other_ledger("Bubble Sync", "'settings', 'old', 'made', '{}'"), id="in a schema of no prefix"),
        pytest.param(other_ledger("shop_sync"), id="without an object, as destroy leaves it"),
        pytest.param(
            (*other_ledger("shop_sync", "'settings', 'shop', 'made', '{}'"), "alter schema shop_sync owner to anon",
             "alter table shop_sync.ledger owner to anon"),
            id="of another role",
        ),
    ],
)  # fmt: skip
def test_another_ledger_that_is_no_set_up_of_this_role_hides_none(converged: Site, statements: tuple[str, ...]):
    converged.by_hand(*statements)

    assert [found(converged, stack).stack for stack in (None, STACK)] == [STACK, STACK]


def test_settings_of_another_stack_that_cannot_be_read_hide_none(converged: Site):
    converged.by_hand(*other_ledger("shop_sync", "'settings', e'shop\\x1b[2J\\n', 'made', 'nonsense'"))

    assert found(converged, STACK).stack == STACK
    with pytest.raises(ConfigurationError, match=r"holds the stacks test, shop\\x1b\[2J\\n: choose one") as refused:
        found(converged)
    assert "\n" not in str(refused.value)


def test_a_copy_of_a_ledger_is_named_by_its_schema(converged: Site):
    converged.by_hand(*other_ledger("old_copy", f"'settings', '{STACK}', 'made', '{{}}'"))

    for stack in (None, STACK):
        with pytest.raises(ConfigurationError, match=f"holds stack {STACK} in the schemas bubble_sync and old_copy"):
            found(converged, stack)


def test_another_version_that_declares_other_objects_is_named(converged: Site):
    row = '(settings::jsonb || \'{"version": "0.0.9", "specs": "other"}\')::text'
    converged.by_hand(f"update bubble_sync.ledger set settings = {row} where object = 'settings'")

    assert found(converged).other_version == "0.0.9"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("nonsense", "run `pulumi up` once"),
        (
            '{"version": "9.0", "key": {"kind": "opaque"}, "specs": "", "new": 1}',
            "version 9.0 of bubble-sync wrote them",
        ),
    ],
)
def test_settings_that_this_version_cannot_read_are_refused_in_one_line(converged: Site, settings: str, told: str):
    converged.by_hand(f"update bubble_sync.ledger set settings = '{settings}' where object = 'settings'")

    with pytest.raises(ConfigurationError, match=told) as refused:
        found(converged)

    assert "\n" not in str(refused.value)


def test_destroy_forgets_the_settings_and_a_replaced_ledger_keeps_them(converged: Site):
    (ledger,) = [one for one in desired_state(working(), Owner(STACK)) if isinstance(one, LedgerSpec)]

    assert converged.remove(ledger, declared=True) == "the program still declares it"
    assert found(converged).lacking == ""
    assert converged.remove(ledger) == "it lists the objects that the stack made or adopted"
    assert found(converged).lacking != ""
