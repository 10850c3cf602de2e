"""The objects of wake are compared, scripted, adopted, refused and found drifted like every other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import psycopg
import pytest

from bubble_sync.compare.diff import State
from bubble_sync.compare.drift import DriftReport
from bubble_sync.compare.sql_script import back, forward
from bubble_sync.config.settings import read_settings
from bubble_sync.errors import Busy, PrivilegeMissing
from bubble_sync.model.setup import WAKE_TRIGGER, desired_state
from bubble_sync.specs import Owner, TriggerSpec
from tests.fixtures.adoption import WANTED, converge_all, drift_of, look, monitor_of, states
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, config

MONITOR = "bubble_monitor"
WAKE = {"processor": '{"wake": true}'}
ACCESS = {"access": json.dumps({"monitorRole": MONITOR}), "monitorPassword": "m" * 16}
WOKEN, WATCHED = (desired_state(read_settings(config(**WAKE, **more)), Owner(STACK, REF)) for more in ({}, ACCESS))
(TRIGGER,) = (one for one in WOKEN if isinstance(one, TriggerSpec))
OBJECTS = f"trigger {WAKE_TRIGGER}", "function bubble_sync.wake", "function bubble_sync.wake_send"
KEYS = {"supabase_url": "projectRef", "service_role_key": "serviceRoleKey"}
THEIRS = """
    select pg_get_triggerdef(oid) as definition, tgenabled::text as enabled, obj_description(oid) as comment
    from pg_trigger where tgname ~ 'wake'
"""
LEFT = """
    select 'function ' || proname as object from pg_proc where pronamespace::regnamespace::text = 'bubble_sync'
        and proname ~ 'wake'
    union all select 'trigger ' || tgname from pg_trigger where tgname ~ 'wake'
    union all select 'sequence ' || relname from pg_class where relkind = 'S' and relname ~ 'wake'
    union all select object from bubble_sync.ledger where object ~ 'wake'
"""


def test_the_script_makes_the_same_as_up_and_the_one_back_leaves_nothing(site: Site):
    converge_all(site)
    comparison, snapshot = look(site, WOKEN)
    assert {name: state for name, state in states(comparison).items() if state != "equal"} == {
        "ledger": "update",
        "function public.invoke_bubble_sync_processor": "update",
        **dict.fromkeys((*OBJECTS, "function bubble_sync.wake_due"), "create"),
    }

    site.by_hand("set role postgres;" + forward(comparison))
    assert look(site, WOKEN)[0].clean

    site.by_hand("set role postgres;" + back(comparison, snapshot))
    assert site.by_hand(LEFT) == []
    assert look(site, WANTED)[0].clean


@pytest.mark.parametrize(
    "by_hand",
    [
        f"alter table public.sync_queue disable trigger {WAKE_TRIGGER}",
        f"drop trigger {WAKE_TRIGGER} on public.sync_queue",
        "drop sequence bubble_sync.wake_closed_until",
        f"comment on trigger {WAKE_TRIGGER} on public.sync_queue is null",
    ],
)
def test_a_change_by_hand_is_one_object_and_both_scripts_know_it(site: Site, by_hand: str):
    converge_all(site, WOKEN)
    site.by_hand(f"set role postgres; {by_hand}")

    comparison, snapshot = look(site, WOKEN)
    changed = [item for item in comparison.items if item.state is not State.EQUAL]
    assert [item.spec.object_name for item in changed] == [f"trigger {WAKE_TRIGGER}"]

    site.by_hand("set role postgres;" + forward(comparison))
    assert look(site, WOKEN)[0].clean
    if changed[0].state is State.UPDATE and "sequence" not in by_hand:
        site.by_hand("set role postgres;" + back(comparison, snapshot))
        assert look(site, WOKEN)[0].items == comparison.items


def test_the_doctor_finds_nothing_on_a_stack_that_is_up(site: Site):
    settings = working(**WAKE)
    set_up(site, settings)

    diagnosis = diagnose(site, settings)

    assert (diagnosis.findings, dict(diagnosis.unknown)) == ((), {})


@pytest.mark.parametrize("theirs", ["trigger {} before update", "constraint trigger {} after insert"])
def test_a_trigger_of_this_name_is_adopted_and_kept_by_destroy(site: Site, theirs: str):
    converge_all(site)
    site.by_hand(
        f"create {theirs.format(WAKE_TRIGGER)} on public.sync_queue for each row "
        "execute function suppress_redundant_updates_trigger()"
    )
    assert states(look(site, WOKEN)[0])[f"trigger {WAKE_TRIGGER}"] == "adopt and change"

    converge_all(site, WOKEN)

    assert look(site, WOKEN)[0].clean
    assert site.remove(TRIGGER) == "it was there before"


@pytest.mark.parametrize(
    "theirs",
    [
        "trigger {} before update on public.sync_queue",
        "constraint trigger {} after insert on public.sync_queue",
        "constraint trigger {} after insert or update on public.sync_queue deferrable initially deferred",
    ],
)
@pytest.mark.parametrize("enabling", ["enable", "disable", "enable always"])
def test_the_script_back_makes_their_trigger_again(site: Site, theirs: str, enabling: str):
    converge_all(site)
    site.by_hand(
        f"create {theirs.format(WAKE_TRIGGER)} for each row execute function suppress_redundant_updates_trigger()",
        f"alter table public.sync_queue {enabling} trigger {WAKE_TRIGGER}",
        f"comment on trigger {WAKE_TRIGGER} on public.sync_queue is 'it''s theirs'",
    )
    before = site.by_hand(THEIRS)
    comparison, snapshot = look(site, WOKEN)

    site.by_hand("set role postgres;" + forward(comparison))
    assert look(site, WOKEN)[0].clean
    for _ in range(2):  # a second run does no harm
        site.by_hand("set role postgres;" + back(comparison, snapshot))
        assert site.by_hand(THEIRS) == before
        assert look(site, WANTED)[0].clean


def test_a_queue_of_another_role_is_refused_with_the_statement(site: Site):
    converge_all(site)
    site.by_hand("create role elsewhere", "alter table public.sync_queue owner to elsewhere",
                 "grant all on public.sync_queue to postgres")  # fmt: skip

    with pytest.raises(PrivilegeMissing, match=r"public\.sync_queue is owned by elsewhere"):
        site.converge(TRIGGER)

    assert site.by_hand(LEFT) == []


def test_an_open_insert_holds_the_trigger_up_for_a_moment_and_no_longer(site: Site):
    converge_all(site, [one for one in WOKEN if one is not TRIGGER])
    with site.db.operation("inserting") as conn:
        conn.execute("insert into public.sync_queue (table_name, record_id, operation) values ('user', 'a', 'INSERT')")
        with pytest.raises(Busy) as refused:
            site.converge(TRIGGER)

    who = rf"the lock on public.sync_queue is held by pid {conn.info.backend_pid} "
    assert re.match(rf"converging trigger {WAKE_TRIGGER}: {who}", str(refused.value))
    site.converge(TRIGGER)


def test_the_trigger_is_made_while_other_sessions_read_the_queue(site: Site):
    converge_all(site, [one for one in WOKEN if one is not TRIGGER])
    with psycopg.connect(site.addresses.admin_url) as report:
        report.execute("select count(*) from public.sync_queue")

        site.converge(TRIGGER)


@pytest.fixture
def monitor(site: Site) -> Iterator[Site]:
    """The monitor role's connection to such a stack."""
    with monitor_of(site, WATCHED, MONITOR) as role:
        yield role


def ask(site: Site) -> DriftReport:
    return drift_of(site, WATCHED, KEYS)


def test_the_monitor_role_finds_what_a_hand_changed(monitor: Site):
    assert ask(monitor).findings == ()
    monitor.by_hand(f"alter table public.sync_queue disable trigger {WAKE_TRIGGER}")

    (found,) = ask(monitor).findings

    assert found.object_name == f"trigger {WAKE_TRIGGER}"
