"""The same promises for every kind: absent, applied twice, changed by hand, removed twice, privilege missing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bubble_sync.converge import lifecycle
from bubble_sync.errors import PrivilegeMissing
from bubble_sync.specs import ExtensionSpec, Spec, compare
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, function_spec, job_spec, ledger_spec, secret_spec, trigger_spec

pytestmark = pytest.mark.modes

VIEW_LEDGER = ("grant usage on schema bubble_sync to poor", "grant select, insert on bubble_sync.ledger to poor")


@dataclass(frozen=True)
class Case:
    """One kind: what is wanted, and for each field the statement, or each of several, of a hand that changes it."""

    spec: Spec
    by_hand: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    stays: bool = False
    """Whether `remove` keeps it."""
    grants: tuple[str, ...] = VIEW_LEDGER


def _job(**values: str) -> str:
    assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"update cron.job set {assignments} where jobname = 'bubble-sync-processor'"


def _trigger(definition: str) -> str:
    """Replace the trigger in one statement."""
    return (
        "do $$ begin drop trigger waking on public.sync_queue; "
        f"create trigger waking {definition} execute function suppress_redundant_updates_trigger(); "
        "comment on trigger waking on public.sync_queue is 'wakes'; end $$"
    )


CASES = {
    "ledger": Case(
        ledger_spec(settings='{"dispatchLog": true}'),
        {
            "settings": (
                'update bubble_sync.ledger set settings = \'{"dispatchLog": false, "version": "1"}\'',
                "update bubble_sync.ledger set settings = 'by hand'",
                "delete from bubble_sync.ledger where object = 'settings'",
                "alter table bubble_sync.ledger drop settings",
            ),
            "grantees": "grant usage on schema bubble_sync to anon",
            "tables": (
                "drop table bubble_sync.dispatches",
                "alter table bubble_sync.dispatches drop constraint dispatches_pkey, alter sent_at drop default",
                "alter table bubble_sync.ledger drop constraint ledger_pkey, drop recorded_at",
                "comment on schema bubble_sync is 'mine'",
            ),
            "own_arguments": "insert into bubble_sync.ledger (object, stack, origin) "
            f"values ('program', '{STACK}', 'made')",
        },
        stays=True,
        grants=(),
    ),
    "extension": Case(
        ExtensionSpec(name="pg_net", stack=STACK),
        {"stack": "delete from bubble_sync.ledger where object = 'extension pg_net'"},
        stays=True,
    ),
    "secret": Case(
        secret_spec(),
        {
            "value": "select vault.update_secret(id, 'other') from vault.secrets where name = 'supabase_url'",
            "description": "select vault.update_secret(id, new_description => 'other') from vault.secrets",
            "stack": "delete from bubble_sync.ledger where object = 'secret supabase_url'",
        },
    ),
    "function": Case(
        function_spec(),
        {
            "body": "update pg_proc set prosrc = 'begin null; end' where proname = 'tick'",
            "language": "update pg_proc set prolang = (select oid from pg_language where lanname = 'sql'), prosrc = "
            "'begin end' where proname = 'tick'",
            "security": "alter function public.tick() security definer",
            "volatility": "alter function public.tick() stable",
            "config": "alter function public.tick() reset search_path",
            "comment": "comment on function public.tick() is 'mine'",
            "attributes": (
                "alter function public.tick() strict parallel safe",
                "do $$ begin execute (select format('revoke execute on function public.tick from %s', "
                "proowner::regrole) from pg_proc where proname = 'tick'); end $$",
            ),
            "executors": "grant execute on function public.tick() to anon with grant option",
            "stack": "delete from bubble_sync.ledger where object = 'function public.tick'",
        },
    ),
    "job": Case(
        job_spec(),
        {
            "schedule": _job(schedule="'0 0 * * *'"),
            "command": _job(command="'SELECT 2'"),
            "database": _job(database="'template1'"),
            "active": _job(active="false"),
            "stack": "delete from bubble_sync.ledger where object = 'job bubble-sync-processor'",
        },
    ),
    "trigger": Case(
        trigger_spec(),
        {
            "definition": (
                _trigger("after insert or update on public.sync_queue for each statement"),
                _trigger("before insert on public.sync_queue for each statement"),
                _trigger("after insert on public.sync_queue for each statement when (pg_backend_pid() > 0)"),
            ),
            "enabled": (
                "alter table public.sync_queue disable trigger waking",
                "alter table public.sync_queue enable always trigger waking",
                "alter table public.sync_queue disable trigger user",
            ),
            "comment": "comment on trigger waking on public.sync_queue is 'mine'",
            "sequences": "drop sequence bubble_sync.wake_errors",
            "stack": "delete from bubble_sync.ledger where object = 'trigger waking'",
        },
    ),
}
MUTATIONS = [
    (name, field_name, statement)
    for name, case in CASES.items()
    for field_name, given in case.by_hand.items()
    for statement in ((given,) if isinstance(given, str) else given)
]


@pytest.fixture
def ready(site: Site, request: pytest.FixtureRequest) -> Site:
    """A fresh project with all that comes before the kind in question."""
    name = request.node.callspec.params["name"]
    if name == "extension":
        site.converge(ledger_spec())
    elif name != "ledger":
        request.getfixturevalue("prepared")
    return site


@pytest.mark.parametrize("name", CASES)
def test_an_absent_object_is_made_and_then_is_as_wanted(name: str, ready: Site):
    case = CASES[name]
    assert ready.observe(case.spec) is None

    made = ready.converge(case.spec)

    assert compare(case.spec, made) == ()
    assert compare(case.spec, ready.observe(case.spec)) == ()


@pytest.mark.parametrize("name", CASES)
def test_a_second_time_writes_nothing_and_changes_no_fact(name: str, ready: Site):
    case = CASES[name]
    first = ready.converge(case.spec)

    with ready.db.transaction("again") as conn:
        second = lifecycle.converge(conn, case.spec)
        written = conn.execute("select pg_current_xact_id_if_assigned() is not null as written").fetchone()

    assert second == first
    assert written == {"written": False}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "changed", "by_hand"), MUTATIONS)
def test_a_change_by_hand_is_named_and_repaired_in_place(name: str, changed: str, by_hand: str, ready: Site):
    case = CASES[name]
    made = ready.converge(case.spec)
    ready.by_hand(by_hand)

    differences = compare(case.spec, ready.observe(case.spec))
    repaired = ready.converge(case.spec)

    assert [difference.field for difference in differences] == [changed]
    assert repaired == made
    assert compare(case.spec, ready.observe(case.spec)) == ()


def test_every_field_that_can_change_is_changed_by_hand_above():
    for case in CASES.values():
        fixed = {*case.spec.identity, "returns", "owner", "stack", "project_ref", "overloads", "duplicates",
                 "moved"}  # fmt: skip
        assert set(type(case.spec).model_fields) - fixed <= set(case.by_hand)


@pytest.mark.parametrize("name", CASES)
def test_removing_twice_is_quiet(name: str, ready: Site):
    case = CASES[name]
    ready.converge(case.spec)

    reasons = [ready.remove(case.spec) for _ in range(2)]

    if case.stays:
        assert all(reasons)
        assert ready.observe(case.spec) is not None
    else:
        assert reasons == [None, None]
        assert ready.observe(case.spec) is None
        assert ready.by_hand(f"select * from bubble_sync.ledger where object = '{case.spec.object_name}'") == []


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", CASES)
def test_a_missing_privilege_is_said_and_nothing_is_changed(name: str, ready: Site):
    case = CASES[name]
    poor = ready.as_role("poor", *case.grants)

    with pytest.raises(PrivilegeMissing, match=case.spec.object_name):
        poor.converge(case.spec)

    poor.db.close()
    assert ready.observe(case.spec) is None
