"""Wake on insert: what is sent, what is not, and that no insert ever fails, waits or gives rights away."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from bubble_sync.database.polling import poll
from bubble_sync.health.doctor import Finding
from tests.fixtures.breaking import diagnose, set_up
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.waking import HoldingEndpoint, session, woken

REQUEST = {"action": "process_queue_data_api", "payload": {"limit": 10, "batch_size": 5}}
INSERT = (
    "insert into public.sync_queue (table_name, record_id, operation) "
    "values ('user', gen_random_uuid()::text, 'INSERT')"
)
QUEUED = "select count(*) from net.http_request_queue"
SENT = "select count(*) from bubble_sync.dispatches"
ERRORS = "select coalesce(pg_sequence_last_value('bubble_sync.wake_errors'), 0)"
API_ROLES = ("anon", "authenticated", "service_role", "authenticator")


def number(site: Site, query: str) -> int:
    (row,) = site.by_hand(query)
    (value,) = row.values()
    return int(value)


def insert(site: Site, statement: str = INSERT, role: str = "postgres", *settings: str) -> None:
    with session(site, role) as conn:
        for setting in settings:
            conn.execute(setting)
        conn.execute(statement)


def answered(site: Site, requests: int) -> None:
    """Wait until pg_net has stored so many responses: nothing is under way then."""
    stored = "select count(*) from net._http_response"
    assert poll(lambda: number(site, stored), lambda count: count >= requests, 30) == requests


@pytest.mark.parametrize("role", API_ROLES)
def test_an_insert_of_an_application_role_sends_the_request_of_the_job(
    awake: Site, endpoint: HoldingEndpoint, role: str
):
    awake.by_hand(
        f"grant insert on public.sync_queue to {role}",
        f"create policy sign_up on public.sync_queue for insert to {role} with check (true)",
        "alter table public.sync_queue force row level security",
    )

    insert(awake, INSERT, role)

    assert endpoint.next_request() == REQUEST
    assert awake.by_hand("select function, request_id is not null as known from bubble_sync.dispatches") == [
        {"function": "bubble_sync_processor", "known": True}
    ]
    assert number(awake, ERRORS) == 0


@pytest.mark.parametrize(
    "statement",
    [
        INSERT + ", ('user', 'other', 'INSERT'), ('user', 'third', 'UPDATE')",
        f"with item as ({INSERT} returning id) select count(*) from item",
        "do $$ begin for i in 1..20 loop insert into public.sync_queue (table_name, record_id, operation) "
        "values ('user', i::text, 'INSERT'); end loop; end $$",
    ],
    ids=["rows", "in a query", "in a loop"],
)
def test_one_transaction_sends_one_request(awake: Site, endpoint: HoldingEndpoint, statement: str):
    insert(awake, statement)

    assert endpoint.next_request() == REQUEST
    assert number(awake, SENT) == 1


def test_copy_sends_the_request(awake: Site, endpoint: HoldingEndpoint):
    with (
        session(awake) as conn,
        conn.cursor() as cursor,
        cursor.copy("copy public.sync_queue (table_name, record_id, operation) from stdin") as copy,
    ):
        copy.write_row(("user", "a", "INSERT"))
        copy.write_row(("user", "b", "INSERT"))

    assert endpoint.next_request() == REQUEST
    assert number(awake, SENT) == 1


def test_an_insert_into_a_partitioned_queue_sends_the_request(site: Site, endpoint: HoldingEndpoint):
    site.by_hand(
        "create table public.parts (like public.sync_queue including defaults) partition by range (created_at)",
        "create table public.part partition of public.parts default",
        "drop table public.sync_queue",
        "alter table public.parts rename to sync_queue",
        "alter table public.sync_queue owner to postgres",
        "alter table public.part owner to postgres",
    )
    set_up(site, woken(endpoint))

    insert(site)

    assert endpoint.next_request() == REQUEST


def test_a_rolled_back_insert_sends_nothing_and_the_next_one_sends(awake: Site, endpoint: HoldingEndpoint):
    for _ in range(6):
        with session(awake) as conn:
            conn.execute("begin")
            conn.execute(INSERT)
            conn.execute("rollback")
    with session(awake) as conn:
        conn.execute("begin")
        conn.execute("savepoint sign_up")
        conn.execute(INSERT)
        conn.execute("rollback to savepoint sign_up")
        conn.execute("commit")
    assert number(awake, SENT) == number(awake, QUEUED) == endpoint.count == 0

    insert(awake)

    assert endpoint.next_request() == REQUEST
    assert endpoint.count == 1


def test_rows_that_replication_writes_send_nothing(awake: Site, endpoint: HoldingEndpoint):
    awake.by_hand("set session_replication_role = replica", INSERT)

    assert number(awake, SENT) == 0


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_transaction_with_an_older_snapshot_leaves_its_items_to_the_job(awake: Site, isolation: str):
    insert(awake, INSERT, "postgres", f"set default_transaction_isolation = '{isolation}'")

    assert number(awake, SENT) == number(awake, ERRORS) == 0


def test_what_comes_while_a_request_is_under_way_is_taken_by_one_follow_up(awake: Site, endpoint: HoldingEndpoint):
    with endpoint.holding():
        insert(awake)
        endpoint.next_request()
        for _ in range(20):
            insert(awake)
        assert number(awake, SENT) == 2
        assert endpoint.count == 1, "the follow-up waits for the answer"

    assert endpoint.next_request() == REQUEST
    answered(awake, 2)
    assert (endpoint.count, endpoint.most_at_once) == (2, 1)


def test_the_job_sends_nothing_while_a_request_of_an_insert_is_under_way(awake: Site, endpoint: HoldingEndpoint):
    with endpoint.holding():
        insert(awake)
        endpoint.next_request()

        insert(awake, "select public.invoke_bubble_sync_processor()")

        assert number(awake, SENT) == 1
    answered(awake, 1)
    insert(awake, "select public.invoke_bubble_sync_processor()")
    assert number(awake, SENT) == 2


@pytest.mark.matrix  # `make matrix`: on a loaded machine no insert of the fifty may send, and the job does
def test_fifty_sessions_at_once_have_one_request_under_way_and_no_error(
    awake: Site, endpoint: HoldingEndpoint, server_log: ServerLog
):
    start = threading.Barrier(50)

    def sign_up(_: int) -> None:
        with session(awake) as conn:
            start.wait()
            for _ in range(5):
                conn.execute(INSERT)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(sign_up, range(50)))

    assert number(awake, ERRORS) == 0, re.findall("no request sent.*", server_log.appended())
    sent = number(awake, SENT)
    answered(awake, sent)
    assert 1 <= sent <= 10
    assert (endpoint.count, endpoint.most_at_once) == (sent, 1)
    assert number(awake, "select count(*) from public.sync_queue") == 250


def test_inserts_and_ticks_at_the_same_time_have_one_request_under_way(awake: Site, endpoint: HoldingEndpoint):
    start = threading.Barrier(12)

    def work(statement: str) -> None:
        with session(awake) as conn:
            start.wait()
            for _ in range(60):
                conn.execute(statement)

    tick = "select public.invoke_bubble_sync_processor()"
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, [INSERT] * 10 + [tick] * 2))

    answered(awake, number(awake, SENT))
    assert endpoint.count > 1
    assert endpoint.most_at_once == 1
    assert number(awake, ERRORS) == 0


def test_a_tick_waits_a_moment_for_an_insert_that_is_about_to_commit(awake: Site, endpoint: HoldingEndpoint):
    insert(awake, INSERT, "postgres", "set default_transaction_isolation = serializable")
    with endpoint.holding(), ThreadPoolExecutor(1) as pool, session(awake) as committing:
        committing.execute("begin")
        committing.execute(INSERT)
        tick = pool.submit(insert, awake, "select public.invoke_bubble_sync_processor()")
        while not tick.done() and not number(awake, "select count(*) from pg_locks where not granted"):
            pass
        committing.execute("commit")
        tick.result()

        assert number(awake, SENT) == 1
        assert endpoint.next_request() == REQUEST


def test_after_the_reserve_an_interval_has_one_request(site: Site, endpoint: HoldingEndpoint):
    set_up(site, woken(endpoint, wakeMinInterval=3600))
    site.by_hand("update cron.job set active = false")
    for request in range(1, 6):
        insert(site)
        endpoint.next_request()
        answered(site, request)

    for _ in range(3):
        insert(site)

    assert number(site, SENT) == 5
    site.by_hand(
        "update bubble_sync.dispatches set sent_at = sent_at - interval '1 hour'",
        "select setval('bubble_sync.wake_closed_until', 1)",
    )
    insert(site)
    assert number(site, SENT) == 6


def test_a_request_that_a_failed_worker_gave_back_is_not_sent_twice(awake: Site, endpoint: HoldingEndpoint):
    with psycopg.connect(awake.addresses.admin_url) as worker, psycopg.connect(awake.addresses.admin_url) as held:
        # The worker waits for this lock before it takes anything.
        held.execute("lock table net._http_response in access exclusive mode")
        insert(awake)
        worker.execute("delete from net.http_request_queue")
        insert(awake)
        assert number(awake, SENT) == 2, "a request that is taken gets a follow-up"
        worker.rollback()
        insert(awake)
        assert number(awake, SENT) == 2


def test_other_inserts_do_not_wait_for_one_that_stays_open_and_the_job_goes_on(awake: Site, endpoint: HoldingEndpoint):
    with session(awake) as open_for_long:
        open_for_long.execute("begin")
        open_for_long.execute(INSERT)

        insert(awake, INSERT, "postgres", "set statement_timeout = '900ms'")
        assert number(awake, SENT) == 0

        insert(awake, "select public.invoke_bubble_sync_processor()")
        assert endpoint.next_request() == REQUEST
        answered(awake, 1)

        open_for_long.execute("commit")
        assert endpoint.next_request() == REQUEST
    assert endpoint.most_at_once == 1


TROUBLES = {
    "no secret": "delete from vault.secrets where name = 'service_role_key'",
    "no address": "select vault.update_secret((select id from vault.secrets where name = 'supabase_url'), 'nonsense')",
    "no log": "drop table bubble_sync.dispatches",
    "no function": "drop function bubble_sync.wake_send()",
    "no queue of pg_net": "alter table net.http_request_queue rename to elsewhere",
    "no interval": "drop sequence bubble_sync.wake_closed_until",
    "no right": "revoke all on bubble_sync.dispatches from postgres",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_error_is_counted_and_the_insert_goes_on(awake: Site, endpoint: HoldingEndpoint, trouble: str):
    awake.by_hand(TROUBLES[trouble])

    insert(awake)

    assert number(awake, "select count(*) from public.sync_queue") == 1
    assert (number(awake, ERRORS), endpoint.count) == (1, 0)
    (finding,) = failing(awake, endpoint)
    assert finding.evidence == "1 inserts sent no request because of an error"
    awake.by_hand(finding.remedy.partition("back: ")[2])
    assert failing(awake, endpoint) == []


def failing(site: Site, endpoint: HoldingEndpoint) -> list[Finding]:
    return [one for one in diagnose(site, woken(endpoint)).findings if one.id == "wake_failing"]


def test_even_the_counter_may_be_gone(awake: Site):
    awake.by_hand("drop sequence bubble_sync.wake_errors", TROUBLES["no secret"])

    insert(awake)

    assert number(awake, "select count(*) from public.sync_queue") == 1


@pytest.mark.parametrize(
    "table", ["net.http_request_queue", "bubble_sync.dispatches", "vault.secrets", "cron.job_run_details"]
)
def test_an_insert_waits_for_no_lock_on_a_table_of_the_sync(awake: Site, table: str):
    with psycopg.connect(awake.addresses.admin_url) as other:
        other.execute(f"lock table {table} in access exclusive mode")

        insert(awake, INSERT, "postgres", "set statement_timeout = '900ms'")

    assert number(awake, "select count(*) from public.sync_queue") == 1


@pytest.mark.parametrize("catalog", ["pg_type", "pg_namespace"])
def test_the_first_insert_of_a_session_outlasts_a_lock_on_a_catalog(awake: Site, catalog: str):
    """As while autovacuum shortens it: PostgreSQL then waits to compile the function, outside each of its blocks."""
    waits = "select clock_timestamp() - waitstart > '50 ms' from pg_locks where pid = %s and not granted"
    with (
        session(awake, "supabase_admin") as conn,
        psycopg.connect(awake.addresses.admin_url) as other,
        ThreadPoolExecutor() as pool,
    ):
        conn.execute("set session_replication_role = replica")
        conn.execute(INSERT)
        conn.execute("set session_replication_role = origin")
        other.execute(waits, [conn.info.backend_pid])
        other.execute(f"lock table pg_catalog.{catalog} in access exclusive mode")

        inserted = pool.submit(conn.execute, INSERT)
        waited = poll(
            lambda: other.execute(waits, [conn.info.backend_pid]).fetchone(),
            lambda row: row == (True,) or inserted.done(),
            30,
        )
        other.rollback()
        inserted.result()

    assert waited == (True,)
    assert number(awake, "select count(*) from public.sync_queue") == 2
    assert (number(awake, SENT), number(awake, ERRORS)) == (1, 0)


def test_a_cancel_cancels_the_insert_as_without_a_trigger(awake: Site):
    awake.by_hand(
        "create or replace function bubble_sync.wake_due(source text, action text, min_interval integer) "
        "returns boolean language plpgsql as $$ begin perform pg_sleep(60); return true; end $$"
    )

    with pytest.raises(psycopg.errors.QueryCanceled):
        insert(awake, INSERT, "postgres", "set statement_timeout = '50ms'")

    assert number(awake, ERRORS) == 0


def test_no_setting_of_the_session_changes(awake: Site):
    shown = (
        "select string_agg(name || '=' || setting, ', ' order by name) from pg_settings "
        "where name in ('search_path', 'lock_timeout', 'exit_on_error', 'standard_conforming_strings')"
    )
    with session(awake) as conn:
        conn.execute("set search_path = public")
        before = conn.execute(shown).fetchone()
        conn.execute("begin")
        conn.execute(INSERT)
        within = conn.execute(shown).fetchone()
        conn.execute("commit")
        after = conn.execute(shown).fetchone()

    assert before == within == after


@pytest.fixture
def intruder(awake: Site) -> Site:
    """A login role that may insert, and owns a schema for its own objects."""
    awake.by_hand(
        "create role intruder login",
        "grant insert, trigger on public.sync_queue to intruder",
        "create policy sign_up on public.sync_queue for insert to intruder with check (true)",
        "grant create, temporary on database postgres to intruder",
    )
    return awake


SPY = (
    "perform set_config('intruder.caught', "
    "current_user || coalesce(current_setting('intruder.caught', true), ''), false)"
)


def caught(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> set[str]:
    """Return the roles as which the intruder's code has run."""
    row = conn.execute("select current_setting('intruder.caught', true)").fetchone()
    return {role for role in ("postgres", "supabase_admin") if row and role in (row[0] or "")}


def _own_types(conn: psycopg.Connection[psycopg.rows.TupleRow], schema: str) -> None:
    conn.execute(
        f"create function {schema}.spy(anyelement) returns boolean language plpgsql "
        f"as $$ begin {SPY}; return true; end $$"
    )
    for name, base in (("text", "text"), ("jsonb", "jsonb"), ("timestamptz", "timestamptz"), ("xid8", "xid8")):
        conn.execute(f"create domain {schema}.{name} as pg_catalog.{base} check ({schema}.spy(value))")


def _temporary_types(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    conn.execute("create temporary table any_table (a int)")
    _own_types(conn, "pg_temp")


def _types_of_a_function_called_before(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    _temporary_types(conn)
    conn.execute("select net.http_post('http://127.0.0.1:1/')")
    conn.execute("select set_config('intruder.caught', '', false)")


def _temporary_tables(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    conn.execute("create temporary table dispatches (function text, sent_at timestamptz default clock_timestamp())")
    conn.execute("create temporary table secrets (name text, decrypted_secret text)")


def _own_functions_and_operators(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    conn.execute("create schema mine")
    _own_types(conn, "mine")
    conn.execute(
        "create function mine.coalesce_text(text, text) returns boolean language plpgsql "
        f"as $$ begin {SPY}; return true; end $$"
    )
    for operator in ("=", "<>", "!~", "||", "<"):
        conn.execute(
            f"create operator mine.{operator} (function = mine.coalesce_text, "
            "leftarg = pg_catalog.text, rightarg = pg_catalog.text)"
        )
    conn.execute("set search_path = mine, pg_catalog, public")


ATTACKS: dict[str, Callable[[psycopg.Connection[psycopg.rows.TupleRow]], None]] = {
    "temporary types": _temporary_types,
    "types of a function called before": _types_of_a_function_called_before,
    "temporary tables": _temporary_tables,
    "own functions and operators": _own_functions_and_operators,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_code_of_the_inserting_role_runs_as_the_owner(intruder: Site, endpoint: HoldingEndpoint, attack: str):
    with session(intruder, "intruder") as conn:
        ATTACKS[attack](conn)
        conn.execute(
            "insert into public.sync_queue (table_name, record_id, operation) "
            "values ('user'::pg_catalog.text, 'x'::pg_catalog.text, 'INSERT'::pg_catalog.text)"
        )
        assert caught(conn) == set()

    assert endpoint.next_request() == REQUEST
    assert number(intruder, ERRORS) == 0


def test_a_trigger_on_the_queue_of_pg_net_does_not_run_as_the_owner(intruder: Site, endpoint: HoldingEndpoint):
    """pg_net gives every role the right to create one."""
    with session(intruder, "intruder") as conn:
        conn.execute(
            f"create function pg_temp.spy() returns trigger language plpgsql as $$ begin {SPY}; return new; end $$"
        )
        conn.execute(
            "create trigger spy before insert on net.http_request_queue for each row execute function pg_temp.spy()"
        )
        conn.execute(INSERT)

        assert caught(conn) == set()
        assert (number(intruder, SENT), number(intruder, ERRORS)) == (0, 1)
    # The function, and with it the trigger, goes with the session.
    triggers = "select count(*) from pg_trigger where tgrelid = 'net.http_request_queue'::regclass and not tgisinternal"
    assert poll(lambda: number(intruder, triggers), lambda count: count == 0, 30) == 0
    intruder.by_hand("select setval('bubble_sync.wake_closed_until', 1)")
    insert(intruder)
    assert endpoint.next_request() == REQUEST


@pytest.mark.parametrize("role", ["intruder", *API_ROLES])
@pytest.mark.parametrize(
    "statement",
    [
        "select bubble_sync.wake_send()",
        "select bubble_sync.wake_due('a', 'b', 1)",
        "select nextval('bubble_sync.wake_errors')",
        "create trigger mine after insert on public.sync_queue for each statement execute function bubble_sync.wake()",
    ],
)
def test_nothing_of_the_trigger_is_open_to_an_inserting_role(intruder: Site, role: str, statement: str):
    intruder.by_hand(f"grant usage on schema bubble_sync to {role}", f"grant trigger on public.sync_queue to {role}")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        insert(intruder, statement, role)


def test_settings_of_the_inserting_session_change_nothing(intruder: Site, endpoint: HoldingEndpoint):
    hostile = ("set standard_conforming_strings = off", "set exit_on_error = on", "set row_security = off")
    insert(intruder, INSERT, "postgres", *hostile, "set client_min_messages = error")

    assert endpoint.next_request() == REQUEST
    assert number(intruder, ERRORS) == 0
