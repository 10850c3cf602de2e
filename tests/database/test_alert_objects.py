"""The alerts' objects are compared, scripted, told of and removed like every other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from bubble_sync.compare.diff import State
from bubble_sync.compare.drift import DriftReport, StackStatus
from bubble_sync.compare.sql_script import back, forward
from bubble_sync.config.settings import read_settings
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, Spec
from tests.fixtures.adoption import WANTED, converge_all, drift_of, look, monitor_of, states
from tests.fixtures.mutations import Mutation, of_alerts
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, WEBHOOK_NAME, config

WEBHOOK = "https://hooks.example.com/services/T000/B000/hunter2"
MONITOR = "bubble_monitor"
SETTINGS = {"alerts": "{}", "alertWebhookUrl": WEBHOOK}
ACCESS = {"access": json.dumps({"monitorRole": MONITOR}), "monitorPassword": "m" * 16}
TOLD, WATCHED = (desired_state(read_settings(config(**SETTINGS, **more)), Owner(STACK, REF)) for more in ({}, ACCESS))
KEYS = {"supabase_url": "projectRef", "service_role_key": "serviceRoleKey", WEBHOOK_NAME: "alertWebhookUrl"}
LEFT = """
    select 'function ' || proname as object from pg_proc where pronamespace::regnamespace::text = 'bubble_sync'
        and proname ~ 'alert'
    union all select 'job ' || jobname from cron.job where jobname ~ 'alert'
    union all select 'secret ' || name from vault.secrets where name ~ 'alert'
    union all select 'table' where to_regclass('bubble_sync.alerts') is not null
    union all select object from bubble_sync.ledger where object ~ 'alert'
"""


def ask(site: Site, wanted: Sequence[Spec] = TOLD) -> DriftReport:
    return drift_of(site, wanted, KEYS)


@pytest.fixture
def told(site: Site) -> Site:
    """A stack that is up, with alerts."""
    converge_all(site, TOLD)
    return site


@pytest.fixture
def monitor(site: Site) -> Iterator[Site]:
    """The monitor role's connection to such a stack."""
    with monitor_of(site, WATCHED, MONITOR) as role:
        yield role


def test_a_stack_with_alerts_is_clean(told: Site):
    assert look(told, TOLD)[0].clean
    assert look(told, TOLD)[0].unmanaged == ()
    assert (ask(told).status, ask(told).findings) == (StackStatus.CLEAN, ())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("mutations", list(of_alerts()), ids=lambda some: f"{some[0].object} {some[0].field}")
def test_what_a_hand_changes_is_named_alone_by_owner_and_monitor_and_repaired(
    monitor: Site, site: Site, mutations: list[Mutation]
):
    for mutation in mutations:
        site.by_hand(mutation.sql)
    expected = {(one.object, one.field) for one in mutations if one.field}

    for reader in (site, monitor):
        report = ask(reader, WATCHED)
        assert {(one.object_name, one.change.field) for one in report.findings} == expected
        assert "hunter2" not in repr([(one.change, one.accept) for one in report.findings])

    converge_all(site, WATCHED)
    assert ask(monitor, WATCHED).findings == ()


def test_a_number_can_be_accepted_a_webhook_too_and_the_job_cannot(told: Site):
    told.by_hand(
        "do $hand$ begin execute (select replace(pg_get_functiondef(oid), 'oldest_minutes constant integer := 15', "
        "'oldest_minutes constant integer := 40') from pg_proc where oid = 'bubble_sync.alert()'::regprocedure); "
        "end $hand$",
        "update cron.job set schedule = '0 * * * *' where jobname = 'bubble-sync-alerts'",
        f"select vault.update_secret(id, 'https://x.example.com/y') from vault.secrets where name = '{WEBHOOK_NAME}'",
    )

    assert {one.object_name: str(one.accept) for one in ask(told).findings} == {
        "function bubble_sync.alert": "pulumi config set --path bubble-sync:alerts.oldestMinutes 40 --stack test",
        "job bubble-sync-alerts": "cannot be accepted: no setting wants it",
        f"secret {WEBHOOK_NAME}": "pulumi config set --secret bubble-sync:alertWebhookUrl --stack test",
    }


def test_of_the_two_tables_the_log_alone_can_be_accepted_as_gone(told: Site):
    told.by_hand("drop table bubble_sync.dispatches")
    (gone,) = ask(told).findings
    told.by_hand("drop table bubble_sync.alerts")
    (both,) = ask(told).findings

    assert str(gone.accept) == f"pulumi config set bubble-sync:dispatchLog false --stack {STACK}"
    assert str(both.accept).startswith("cannot be accepted: ")


def test_a_webhook_that_was_written_into_a_job_is_not_shown(told: Site):
    told.by_hand(f"update cron.job set command = $$select '{WEBHOOK}'$$ where jobname = 'bubble-sync-alerts'")

    assert "hunter2" not in repr([item.changes for item in look(told, TOLD)[0].items])
    assert "hunter2" not in repr([one.change for one in ask(told).findings])


def test_the_script_makes_them_and_the_way_back_takes_them(site: Site):
    converge_all(site)
    comparison, snapshot = look(site, TOLD)
    undo = back(comparison, snapshot)
    assert {name for name, state in states(comparison).items() if state == State.CREATE} == {
        spec.object_name for spec in TOLD[len(WANTED) :]
    }

    site.by_hand("set role postgres;" + forward(comparison).replace(f"<the value of {WEBHOOK_NAME}>", WEBHOOK))
    assert look(site, TOLD)[0].clean

    for _ in range(2):
        site.by_hand("set role postgres;" + undo)
        assert site.by_hand(LEFT) == []
        assert look(site)[0].clean


def test_the_script_of_a_stack_that_wants_none_drops_the_table_and_the_way_back_makes_it(told: Site):
    comparison, snapshot = look(told)
    undo = back(comparison, snapshot)

    told.by_hand("set role postgres;" + forward(comparison))
    assert look(told)[0].clean

    told.by_hand("set role postgres;" + undo)
    assert look(told, TOLD)[0].clean


def test_what_was_there_before_stays_with_all_that_it_needs(told: Site):
    told.by_hand("update bubble_sync.ledger set origin = 'adopted' where object = 'job bubble-sync-alerts'")

    reasons = {spec.object_name: told.remove(spec) for spec in reversed(TOLD[len(WANTED) :])}

    assert reasons.pop("job bubble-sync-alerts") == "it was there before"
    assert reasons.pop("function bubble_sync.alert") == "job bubble-sync-alerts calls it"
    kept = [reason for reason in reasons.values() if reason]
    assert len(kept) == len(TOLD) - len(WANTED) - 2
    assert all(reason.startswith("function bubble_sync.alert") for reason in kept)


def test_switched_off_they_go_although_the_monitor_role_is_told_of_the_rest(site: Site):
    converge_all(site, WATCHED)
    fewer = desired_state(read_settings(config(**ACCESS)), Owner(STACK, REF))
    kept = {spec.object_name for spec in fewer}

    converge_all(site, fewer)
    reasons = [site.remove(spec) for spec in reversed(WATCHED) if spec.object_name not in kept]

    assert reasons == [None] * 10
    assert site.by_hand(LEFT) == []
    assert look(site, fewer)[0].clean
