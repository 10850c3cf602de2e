"""`run-now`: the job's own command is run, as pg_cron would, and what comes of its request is told as a tick would."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from bubble_sync.actions import run_now
from bubble_sync.actions.run_now import NOT_SENT, NOTHING, SKIPPED, UNKNOWN, Notice, Ran
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing, ServerRefused
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from bubble_sync.records.requests import Request, follow, why_not_followed
from bubble_sync.records.verdicts import VERDICTS, verdict_of
from tests.database.test_dispatches import ANSWERS, ODD, REQUEST, answered, sent, tick
from tests.fixtures.history import item
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import jwt, secret_spec

JOB = "bubble-sync-processor"
COMMAND = "SELECT public.invoke_bubble_sync_processor()"
CALL = "select public.invoke_bubble_sync_processor()"

SAME_NAME = "create function app.invoke_bubble_sync_processor() returns void language plpgsql as 'begin end'"


def scheduled(site: Site, command: str = COMMAND, role: str = "postgres") -> None:
    """Have the job of a role, which never runs by itself here."""
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        conn.execute(f"set role {role}")
        conn.execute("select cron.schedule(%s, '* * * * *', %s)", (JOB, command))


def install(site: Site, *, guard: bool = False) -> None:
    for spec in stack_functions(overlap_guard=guard):
        site.converge(spec)


@pytest.fixture
def served(prepared: Site) -> Site:
    """A project whose processor is installed and reaches the platform's Edge Function."""
    install(prepared)
    addresses = prepared.addresses
    for name, value in (
        ("supabase_url", addresses.endpoint_url), ("service_role_key", addresses.service_role_key),
    ):  # fmt: skip
        prepared.converge(secret_spec(name=name, value=value))
    scheduled(prepared)
    return prepared


def ran(site: Site, heard: list[Notice] | None = None) -> Ran:
    """Prepare and run."""
    prepared = run_now.prepare_run(site.db, "test")
    return run_now.run_command(site.db, prepared, "test", (heard if heard is not None else []).append)


def followed(site: Site) -> Request:
    """Run, and follow the request."""
    (request,) = ran(site).requests
    assert request
    return follow(site.db, request, 20)


class TestWhatIsRun:
    """The connecting role's own job; without one the function."""

    def test_the_jobs_command(self, served: Site):
        prepared = run_now.prepare_run(served.db, "test")

        assert (prepared.command, prepared.jobid, prepared.notes) == (COMMAND, 1, ())

    def test_a_command_that_somebody_changed_is_run_as_it_is_and_said(self, served: Site):
        scheduled(served, "do $$ begin raise notice 'by hand'; end $$; select 1")

        prepared = run_now.prepare_run(served.db, "test")
        done = run_now.run_command(served.db, prepared, "test", print)

        assert prepared.notes == (f"job {JOB} has another command than `pulumi up` gives it",)
        assert (done.outcome, done.notices) == (UNKNOWN, (Notice("NOTICE", "by hand"),))

    def test_a_job_that_is_not_active_is_run_and_said(self, served: Site):
        served.by_hand("update cron.job set active = false")

        prepared = run_now.prepare_run(served.db, "test")

        assert prepared.command == COMMAND
        assert prepared.notes == (f"job {JOB} is not active: pg_cron does not run it",)

    def test_another_roles_command_never_runs_with_our_rights(self, served: Site):
        served.by_hand("create role alice", "grant usage on schema cron to alice", "delete from cron.job")
        served.by_hand("grant execute on all functions in schema cron to alice")
        scheduled(served, "alter role alice createdb", "alice")

        prepared = run_now.prepare_run(served.db, "test")

        assert prepared.command == CALL
        assert prepared.notes[0].endswith(" is the role alice's: its command is not run")
        assert "calling the function" in prepared.notes[1]

    def test_a_job_that_runs_in_another_database_is_not_run_here(self, served: Site):
        served.by_hand("update cron.job set database = 'elsewhere'")

        prepared = run_now.prepare_run(served.db, "test")

        assert prepared.command == CALL
        assert "runs in the database elsewhere" in prepared.notes[0]

    @pytest.mark.parametrize("breaking", ["delete from cron.job", "drop extension pg_cron"])
    def test_without_a_job_or_pg_cron_the_function_is_called(self, served: Site, breaking: str):
        item(served, "1 s", operation="INSERT")
        served.by_hand(breaking)

        prepared = run_now.prepare_run(served.db, "test")

        assert (prepared.command, prepared.jobid) == (CALL, None)
        assert followed(served).verdict == "ok"

    def test_without_the_function_too_it_is_said_where_the_sql_is(self, served: Site):
        served.by_hand("drop function public.invoke_bubble_sync_processor()")
        says = (
            "nothing was run. `pulumi up` makes what is missing; `bubble-sync diff --sql --stack test` prints the SQL"
        )

        with pytest.raises(PrerequisiteMissing, match="calls a function that is not there: " + says):
            ran(served)
        served.by_hand("delete from cron.job")
        with pytest.raises(PrerequisiteMissing, match="there is no function .*: " + says):
            run_now.prepare_run(served.db, "test")

    def test_it_runs_with_the_search_path_of_the_role_and_holds_up_no_change(self, served: Site):
        scheduled(
            served,
            "do $$ begin raise notice '% %', current_setting('search_path'), (select count(*) from pg_locks where "
            "locktype = 'advisory' and pid = pg_backend_pid()); end $$",
        )

        assert ran(served).notices[0].text == '"$user", public, extensions 0'

    @pytest.mark.parametrize("path", ["app, extensions", "app, public"])
    def test_the_jobs_command_runs_our_function_whatever_the_search_path_of_the_role(self, served: Site, path: str):
        served.by_hand("create schema app", SAME_NAME, f"alter role postgres set search_path = {path}")
        served.end_sessions()

        assert ran(served).outcome == NOTHING

    def test_the_guides_command_that_reaches_no_function_is_told_with_what_names_the_schema(self, served: Site):
        scheduled(served, "SELECT invoke_bubble_sync_processor()")
        served.by_hand("create schema app", "alter role postgres set search_path = app, extensions")
        served.end_sessions()

        with pytest.raises(PrerequisiteMissing) as refused:
            ran(served)

        assert "finds no function of that name in the role's search_path: nothing was run." in str(refused.value)
        assert "`pulumi up --stack test` gives the job its command, " + COMMAND in str(refused.value)

    def test_its_messages_are_heard_whatever_the_role_is_set_to(self, served: Site):
        served.by_hand("alter role postgres set client_min_messages = error")
        served.end_sessions()

        assert ran(served).outcome == NOTHING

    def test_what_it_tells_is_shown_without_keys_as_it_comes(self, served: Site):
        scheduled(served, f"do $$ begin raise warning 'Bearer {jwt()} of ada@example.com'; end $$")
        heard: list[Notice] = []

        assert ran(served, heard).outcome == NOT_SENT
        assert heard == [Notice("WARNING", "Bearer [secret] of [email]")]

    def test_an_error_of_our_function_is_said_and_another_ones_text_is_not(self, served: Site):
        item(served, "1 s")
        served.by_hand("select vault.update_secret(id, 'no url') from vault.secrets where name = 'supabase_url'")
        with pytest.raises(ServerRefused, match=r"nothing was sent: \[bubble_sync_processor\] secret or number"):
            ran(served)

        scheduled(served, "do $$ begin raise exception 'CANARY'; end $$")
        with pytest.raises(ServerRefused, match=r"^running the processor's command: PostgreSQL refused it"):
            ran(served)


class TestWhatBecameOfIt:
    """Sent, and followed to the answer; or not sent, and why."""

    def test_items_are_drained(self, served: Site):
        for number in range(3):
            item(served, "1 s", record_id=number, operation="INSERT")
        before = run_now.prepare_run(served.db, "test").items

        request = followed(served)
        after = run_now.count_items(served.db)

        assert (request.verdict, request.status_code, request.processed, request.failed) == ("ok", 200, 3, 0)
        assert before
        assert (before.by_status, before.waiting) == ({"pending": 3}, 3)
        assert after
        assert after.by_status == {"completed": 3}

    def test_each_request_of_a_run_that_sends_several_is_followed(self, served: Site):
        for spec in stack_functions(batch_size=1, requests_per_tick=3):
            served.converge(spec)
        # An answer that says that the Edge Function claims its items.
        served.by_hand(
            "insert into bubble_sync.dispatches (function, waiting, request_id, sent_at, settled_at, verdict) "
            "values ('bubble_sync_processor', 5, 900000, now() - interval '1 min', now(), 'ok')",
            "insert into net._http_response (id, status_code, content, created) "
            """values (900000, 200, '{"success": true, "claimed": true}', now())""",
        )
        for number in range(3):
            item(served, "1 s", record_id=number, operation="INSERT")

        done = ran(served)
        answers = [follow(served.db, one, 20) for one in done.requests]

        assert [answer.verdict for answer in answers] == ["ok"] * 3
        assert [f"request ID: {answer.request_id}" in done.notices[1 + n].text for n, answer in enumerate(answers)] == (
            [True] * 3
        )

    def test_nothing_to_do(self, served: Site):
        done = ran(served)

        assert (done.outcome, done.requests) == (NOTHING, ())
        assert served.by_hand("select from net.http_request_queue") == []

    def test_a_skipped_tick_is_told(self, served: Site):
        install(served, guard=True)
        item(served, "1 s")
        sent(served)

        assert ran(served).outcome == SKIPPED

    def test_secrets_that_are_not_there(self, served: Site):
        item(served, "1 s")
        served.by_hand("delete from vault.secrets")

        done = ran(served)

        assert done.outcome == NOT_SENT
        assert done.notices[-1] == Notice("WARNING", "[bubble_sync_processor] Vault secrets not configured")

    @pytest.mark.parametrize(
        ("behaviour", "verdict"),
        [
            (Behaviour(fail_with="no"), "partial"),
            (Behaviour(status=500), "rejected"),
            (Behaviour(status=401), "rejected"),
            (Behaviour(body=b'{"success": false}'), "refused by its body"),
            (Behaviour(body=b'{"errors": ["no"]}', status=201), "refused by its body"),
            (Behaviour(redirect=True), "not the function's answer"),
            (Behaviour(body=b"\x1f\x8b\xff\xfe"), "not the function's answer"),
            (Behaviour(body=b"", status=204), "answered"),
            (Behaviour(body=b"[" + b'"x",' * 300_000 + b"1]"), "answered"),
        ],
        ids=["items fail", "500", "401", "a no", "errors", "a redirect", "garbage", "nothing", "1 MB"],
    )
    def test_an_answer_that_is_not_good(self, served: Site, platform: Platform, behaviour: Behaviour, verdict: str):
        platform.behave(behaviour)
        item(served, "1 s", operation="INSERT")

        request = followed(served)

        assert request.verdict == verdict
        assert request.quote or request.verdict in ("partial", "rejected", "answered")
        assert len(request.quote) <= 123

    def test_an_answer_that_says_nothing_is_good_where_an_item_was_processed(self, served: Site, platform: Platform):
        platform.behave(Behaviour(silent=True))
        item(served, "1 s", operation="INSERT")

        request = followed(served)

        assert (request.verdict, str(request)) == ("ok", "ok (HTTP 202, an item was processed since)")

    def test_a_timeout(self, served: Site, platform: Platform):
        platform.behave(Behaviour(hang_seconds=2))
        item(served, "1 s")
        for spec in stack_functions(timeout_ms=100):
            served.converge(spec)

        assert followed(served).verdict == "timed out"
        # The function still works on it: not into the next test.
        platform.edge_function.stop()
        platform.edge_function.start()

    def test_one_that_pg_net_does_not_send_is_outstanding(self, served: Site, platform: Platform):
        platform.net_worker.stop()
        try:
            item(served, "1 s", operation="INSERT")
            (request,) = ran(served).requests
            assert follow(served.db, request, 0).verdict == "outstanding"
        finally:
            platform.net_worker.start()

        assert follow(served.db, request, 20).verdict == "ok"

    def test_one_that_a_crash_took_is_lost(self, served: Site, platform: Platform):
        platform.net_worker.stop()
        try:
            item(served, "1 s")
            (request,) = ran(served).requests
            served.by_hand("truncate net.http_request_queue")
        finally:
            platform.net_worker.start()

        assert request
        assert follow(served.db, request, 0).verdict == "lost"

    def test_where_no_answer_can_be_read_it_is_said_why(self, served: Site):
        other = served.as_role("watcher", "revoke all on all tables in schema net from public")
        with closing(other.db):
            assert why_not_followed(other.db) == "watcher may not read net._http_response"
        served.by_hand("grant all on all tables in schema net to public")
        assert why_not_followed(served.db) == ""


class TestOneVerdict:
    """The same as the log's, which the next tick writes."""

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(
        "answer",
        [*(given for given, _ in ANSWERS.values()), *({"status_code": 200, "content": text} for text in ODD)],
        ids=lambda answer: repr(answer)[:60],
    )
    def test_an_answer_is_judged_as_a_tick_does(self, served: Site, answer: dict[str, Any]):
        sent(served)
        answered(served, **answer)
        before = datetime.now(UTC) - timedelta(minutes=1)
        read = served.db.read("a test", lambda conn: verdict_of(conn, [(REQUEST, before)]))
        (row,) = tick(served).rows

        for name in ("verdict", "status_code", "error", "processed", "failed"):
            assert read[REQUEST][name] == row[name]
        assert row["verdict"] in VERDICTS


def test_a_role_that_may_not_call_is_told_so(served: Site):
    other = served.as_role("watcher", "grant usage on schema cron to watcher")
    with closing(other.db), pytest.raises(PrivilegeMissing, match="permission denied for function"):
        ran(other)
