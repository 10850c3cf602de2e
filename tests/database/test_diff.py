"""What `diff` reads from a database: everything in one answer, as the role that it connects as may see it."""

from __future__ import annotations

import pytest
from psycopg import sql

from bench.proxy import counting_proxy
from bubble_sync.converge.change import parts_of
from bubble_sync.converge.kinds import kind_of
from bubble_sync.converge.reading import Found, filled, names_of
from bubble_sync.database import Database
from bubble_sync.database_url import read_database_url
from bubble_sync.errors import PrivilegeMissing
from bubble_sync.questions.diff import State, diff, find
from bubble_sync.questions.script import forward
from bubble_sync.specs import CronJobSpec, FunctionSpec, Spec, VaultSecretSpec
from bubble_sync.statements import SQL_DIRECTORY, reading_block
from tests.fixtures.adoption import WANTED, converge_all, look, play, states
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK


def with_one(kind: type[Spec], **changes: object) -> list[Spec]:
    """The wanted list with the first object of a kind changed."""
    first = next(spec for spec in WANTED if isinstance(spec, kind))
    return [spec.model_copy(update=changes) if spec is first else spec for spec in WANTED]


def test_a_whole_stack_is_read_in_one_round_trip(site: Site):
    converge_all(site)
    with counting_proxy(site.addresses.database_port) as proxy:
        database = Database(read_database_url(proxy.url(site.addresses.database_url)))
        database.read("connecting", lambda _: None)
        _, before = proxy.counts()
        find(database, WANTED)
        _, after = proxy.counts()
        database.close()

    assert after - before == 3, "begin, read, roll back"


def test_reading_writes_nothing_and_needs_no_writable_server(site: Site):
    converge_all(site)
    site.by_hand("alter role postgres set default_transaction_read_only = on")
    site.end_sessions()

    comparison, _ = look(site)

    others = {name: state for name, state in states(comparison).items() if state != "equal"}
    assert others == {"prerequisites": "missing prerequisite"}


def test_a_change_of_the_settings_is_an_update_and_the_script_makes_it(site: Site):
    converge_all(site)
    wanted = with_one(CronJobSpec, schedule="0 * * * *", active=False)

    comparison, _ = look(site, wanted)
    (item,) = [item for item in comparison.items if item.state is not State.EQUAL]
    site.by_hand("set role postgres;" + forward(comparison))

    assert [(change.field, change.actual, change.wanted) for change in item.changes] == [
        ("schedule", "* * * * *", "0 * * * *"),
        ("active", True, False),
    ]
    assert look(site, wanted)[0].clean


@pytest.mark.parametrize(
    ("by_hand", "changed"),
    [
        ("update cron.job set database = 'template1' where jobname = 'bubble-sync-retry'", "job bubble-sync-retry"),
        ("grant usage on schema bubble_sync to anon", "ledger"),
        ("grant select on bubble_sync.ledger to public", "ledger"),
        ("update bubble_sync.ledger set project_ref = null where object = 'extension pg_net'", "extension pg_net"),
        ("select cron.unschedule(jobid) from cron.job where jobname = 'bubble-sync-retry'", "job bubble-sync-retry"),
        ("select vault.update_secret(id, new_description => 'mine') from vault.secrets where name = 'supabase_url'",
         "secret supabase_url"),
        ("alter function bubble_sync.send stable", "function bubble_sync.send"),
    ],
)  # fmt: skip
def test_a_change_by_hand_is_one_object_and_the_script_repairs_it(site: Site, by_hand: str, changed: str):
    converge_all(site)
    site.by_hand(f"set role postgres; {by_hand}" if "cron.job set" not in by_hand else by_hand)

    comparison, _ = look(site)
    site.by_hand("set role postgres;" + forward(comparison))

    assert [item.spec.object_name for item in comparison.items if item.state is not State.EQUAL] == [changed]
    assert look(site)[0].clean


def test_a_script_with_its_placeholders_left_stores_none_of_them(site: Site):
    play(site, "as_executed", "undecryptable")

    site.by_hand("set role postgres;" + forward(look(site)[0]))

    comparison, _ = look(site)
    kept = {item.spec.object_name: [change.secret for change in item.changes] for item in comparison.items}
    assert kept["secret supabase_url"] == ["unreadable"]
    assert kept["secret service_role_key"] == ["unreadable", ""]


def test_other_generations_users_of_the_key_and_executors_are_told_of(site: Site):
    play(site, "as_executed", "executable", "generations")

    comparison, _ = look(site)

    told = {one.what: one.sql for one in comparison.beside}
    assert told == {
        "job process-bubble-sync-queue (jobid 5)": "select cron.unschedule(5);",
        "job sync-by-settings (jobid 6)": "select cron.unschedule(6);",
        "trigger sync_at_once on public.sync_queue": "drop trigger sync_at_once on public.sync_queue;",
        "function public.on_queued()": "drop function public.on_queued();",
        "function public.trigger_bubble_sync_queue()": "",
        "EXECUTE on public.invoke_bubble_sync_processor for anon, authenticated, service_role":
            "grant execute on function public.invoke_bubble_sync_processor() to anon, authenticated, service_role;",
        "EXECUTE on public.invoke_bubble_sync_retry for anon, authenticated, public, service_role":
            "grant execute on function public.invoke_bubble_sync_retry() to anon, authenticated, public, service_role;",
    }  # fmt: skip
    removed = [one.sql for one in comparison.beside if one.sql and "grant" not in one.sql]
    site.by_hand("set role postgres", *removed)
    assert [one.what for one in look(site)[0].beside if not one.what.startswith("EXECUTE")] == []


def test_nothing_stands_beside_a_stack_of_our_own(site: Site):
    converge_all(site)
    site.by_hand(
        "set role postgres; select cron.schedule('report', '0 0 * * *', 'select count(*) from public.sync_queue')"
    )

    assert look(site)[0].beside == ()


def test_a_job_under_another_name_that_runs_our_function_is_told_of(site: Site):
    converge_all(site)
    site.by_hand(
        "set role postgres; select cron.schedule('mine', '0 0 * * *', 'SELECT public.Invoke_Bubble_Sync_Retry();')"
    )

    assert [one.what for one in look(site)[0].beside] == ["job mine (jobid 3)"]


def test_a_secret_is_compared_and_never_shown(site: Site, server_log: ServerLog):
    converge_all(site)
    wanted = with_one(VaultSecretSpec, value="https://elsewhere.example.com")

    comparison, found = look(site, wanted)

    (item,) = [item for item in comparison.items if item.state is not State.EQUAL]
    assert [(change.field, change.secret) for change in item.changes] == [("value", "differs")]
    for spec in (*WANTED, *wanted):
        if isinstance(spec, VaultSecretSpec):
            assert spec.value not in repr(found)
            assert spec.value not in server_log.appended


def test_a_right_that_is_lacking_is_said_and_nothing_is_taken_for_gone(site: Site):
    converge_all(site)
    for grants in ((), ("grant usage on schema cron to poor",)):
        site.by_hand("drop role if exists poor") if not grants else site.by_hand("drop owned by poor; drop role poor")
        poor = site.as_role("poor", *grants)
        with pytest.raises(PrivilegeMissing, match="comparing the stack with the database: permission denied"):
            look(poor)
        poor.db.close()


def test_a_reader_who_sees_only_his_own_jobs_is_told_whose_they_are(site: Site):
    converge_all(site)
    grants = ("grant usage on schema cron, bubble_sync, vault to poor", "grant select on bubble_sync.ledger to poor",
              "grant select on vault.secrets, vault.decrypted_secrets to poor",
              "grant execute on all functions in schema vault to poor")  # fmt: skip
    poor = site.as_role("poor", *grants)
    comparison, _ = look(poor)
    poor.db.close()

    jobs = [item for item in comparison.items if isinstance(item.spec, CronJobSpec)]
    assert {item.state for item in jobs} == {State.FOREIGN}
    assert "poor sees no other role's jobs: nothing was changed. Connect as postgres" in jobs[0].reason
    functions = [item for item in comparison.items if isinstance(item.spec, FunctionSpec)]
    assert {item.state for item in functions} == {State.FOREIGN}


def test_the_same_block_is_the_body_of_a_function(site: Site):
    """A role without any right of its own reads through it what the owner reads, secrets as digests of its own salt."""
    converge_all(site)
    parts = sorted({part for spec in WANTED for part in parts_of(kind_of(spec), spec)})
    names = {name: sql.Literal(values) for name, values in names_of(WANTED).items()}
    values = {**names, "salt": sql.SQL("$1"), "pattern": sql.Literal(""), "itself": sql.Literal("")}
    body = filled(reading_block(tuple(parts), "return answer"), values).as_string()
    site.by_hand(
        "set role postgres",
        "create function bubble_sync.observe(salt text) returns jsonb language plpgsql stable security definer "
        f"set search_path = '' set jit = off as $body$\n{body}\n$body$",
    )
    watcher = site.as_role("watcher", "grant usage on schema bubble_sync to watcher",
                           "grant execute on function bubble_sync.observe to watcher")  # fmt: skip

    rows = watcher.db.read("watching", lambda conn: conn.execute("select bubble_sync.observe('s') as a").fetchone())
    watcher.db.close()

    comparison = diff(STACK, WANTED, Found(rows["a"], "s"))
    left = {name: state for name, state in states(comparison).items() if state != "equal"}
    assert left == {"ledger": "update"}, "the right to use the schema, which a stack with a monitor role wants"


def test_every_part_of_the_block_can_be_composed():
    parts = {path.stem for path in (SQL_DIRECTORY / "queries").glob("*.sql")}
    assert "observe" in parts
    with pytest.raises(ValueError, match="no part"):
        reading_block(("nowhere",), "return answer")
    assert "begin\n    return answer;\nend" in reading_block((), "return answer")
