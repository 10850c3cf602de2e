"""The dispatch log: what a run leaves behind, what the next one makes of it, and that neither ever stops a request."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bubble_sync.config.settings import ProcessorSettings, RetrySettings, read_settings
from bubble_sync.errors import ForeignObject
from bubble_sync.model.setup import desired_state
from bubble_sync.records.requests import Request, as_of_now, requests_in
from bubble_sync.records.verdicts import VERDICTS
from bubble_sync.records.visibility import probe_visibility
from bubble_sync.specs import Owner
from tests.fixtures.pages import pages_read
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, config, functions_in, ledger_spec, secret_spec

PROCESSOR = "SELECT invoke_bubble_sync_processor()"
RETRY = "SELECT invoke_bubble_sync_retry()"
SENT = "NOTICE [bubble_sync_processor] Found 1 pending items, invoking Edge Function"
SKIPPED = "NOTICE [bubble_sync_processor] Found 1 pending items, but the last request is unanswered: skipped"
QUEUED = (
    "select method::text, url, headers::text, encode(body, 'hex') as body, timeout_milliseconds "
    "from net.http_request_queue order by id"
)
#: An id that no request of a test has.
REQUEST = 900_000


@dataclass(frozen=True)
class Tick:
    """What calls told, and what they had made when they were done."""

    told: Sequence[str]
    queued: Sequence[psycopg.rows.DictRow]
    rows: Sequence[psycopg.rows.DictRow]


@contextmanager
def session(site: Site, told: list[str]) -> Iterator[psycopg.Connection[psycopg.rows.DictRow]]:
    """Give a transaction of the hosted role that is rolled back."""
    with psycopg.connect(site.addresses.database_url, row_factory=psycopg.rows.dict_row) as conn:
        conn.add_notice_handler(lambda notice: told.append(f"{notice.severity} {notice.message_primary}"))
        yield conn
        conn.rollback()


def tick(site: Site, *calls: str) -> Tick:
    """Call in one transaction that is rolled back; see what is there before it is."""
    told: list[str] = []
    with session(site, told) as conn:
        for call in calls or (PROCESSOR,):
            conn.execute(call)
        queued = conn.execute(QUEUED).fetchall()
        there = conn.execute("select to_regclass('bubble_sync.dispatches') is not null as there").fetchone()
        log = "select to_jsonb(d) as row from bubble_sync.dispatches as d order by dispatch_id"
        rows = []
        if there and there["there"]:
            with suppress(psycopg.errors.InsufficientPrivilege):
                rows = [found["row"] for found in conn.execute(log).fetchall()]
    return Tick(told, queued, rows)


def install(site: Site, *, log: bool = True, guard: bool = False) -> None:
    jobs = {"processor": ProcessorSettings(overlap_guard=guard), "retry": RetrySettings(overlap_guard=guard)}
    for spec in functions_in("functions", jobs=jobs, dispatch_log=log):
        site.converge(spec)


def add_item(site: Site, status: str = "pending") -> None:
    site.by_hand(
        "insert into public.sync_queue (table_name, record_id, operation, status) "
        f"values ('user', gen_random_uuid()::text, 'INSERT', '{status}')"
    )


def sent(site: Site, request: int = REQUEST, ago: str = "10 seconds", function: str = "bubble_sync_processor") -> None:
    """Have a request in the log that was sent some time ago."""
    site.by_hand(
        "insert into bubble_sync.dispatches (function, waiting, request_id, sent_at) "
        f"values ('{function}', 1, {request}, now() - interval '{ago}')"
    )


def answered(site: Site, request: int = REQUEST, **columns: object) -> None:
    """Have an answer of pg_net."""
    values = {"id": request, **columns}
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        conn.execute(
            psycopg.sql.SQL("insert into net._http_response ({}) values ({})").format(
                psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, values)),
                psycopg.sql.SQL(", ").join(psycopg.sql.Literal(value) for value in values.values()),
            )
        )


def newest(conn: psycopg.Connection[psycopg.rows.DictRow]) -> tuple[Request, ...]:
    """Read the newest requests as the reading commands do."""
    rows = conn.execute("select * from bubble_sync.dispatches order by dispatch_id desc limit 10").fetchall()
    return as_of_now(conn, probe_visibility(conn), requests_in(rows))


@pytest.fixture
def canary() -> str:
    """A value that can be nowhere by chance."""
    return f"canary{secrets.token_hex(16)}"


@pytest.fixture
def synced(prepared: Site, canary: str) -> Site:
    """A project with functions and secrets, without items; the key is the canary."""
    install(prepared)
    for name, value in (("supabase_url", "https://example.com"), ("service_role_key", canary)):
        prepared.converge(secret_spec(name=name, value=value))
    return prepared


class TestARequestIsRecorded:
    """With all that is known when it is made."""

    def test_by_hand_it_has_no_run(self, synced: Site):
        add_item(synced)
        add_item(synced)

        made = tick(synced)

        (row,) = made.rows
        assert made.told[-1].endswith(f"request ID: {row['request_id']}")
        assert (row["function"], row["waiting"], row["runid"]) == ("bubble_sync_processor", 2, None)
        assert (row["verdict"], row["settled_at"], row["skipped"]) == (None, None, 0)

    def test_each_function_under_its_own_name(self, synced: Site):
        add_item(synced)
        add_item(synced, "failed")

        rows = tick(synced, PROCESSOR, RETRY).rows

        assert [row["function"] for row in rows] == ["bubble_sync_processor", "bubble_sync_retry"]

    RUN = (
        "insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status) "
        "select 1, {runid}, {pid}, 'postgres', 'postgres', 'SELECT 1', '{status}' from generate_series(1, 1)"
    )

    @pytest.mark.parametrize("status", ["sending", "running"])
    def test_the_run_is_the_newest_of_this_session_that_is_under_way(self, synced: Site, status: str):
        add_item(synced)
        told: list[str] = []
        with session(synced, told) as conn:
            for runid, pid, state in (
                (1000, conn.info.backend_pid, "running"),
                (1001, conn.info.backend_pid, status),
                (1002, conn.info.backend_pid, "succeeded"),
                (1003, 1, "running"),
            ):
                synced.by_hand(self.RUN.format(runid=runid, pid=pid, status=state))
            conn.execute(PROCESSOR)
            row = conn.execute("select runid from bubble_sync.dispatches").fetchone()

        assert row == {"runid": 1001}

    def test_a_run_that_is_not_among_the_newest_hundred_is_another_ones(self, synced: Site):
        add_item(synced)
        with session(synced, []) as conn:
            synced.by_hand(
                self.RUN.format(runid=1, pid=conn.info.backend_pid, status="running"),
                self.RUN.format(runid="number", pid=1, status="succeeded").replace(
                    "generate_series(1, 1)", "generate_series(2, 101) as number"
                ),
            )
            conn.execute(PROCESSOR)
            row = conn.execute("select runid from bubble_sync.dispatches").fetchone()

        assert row == {"runid": None}

    def test_what_is_older_than_thirty_days_goes_a_hundred_rows_at_a_time(self, synced: Site):
        add_item(synced)
        synced.by_hand(
            "insert into bubble_sync.dispatches (function, sent_at, settled_at) "
            "select 'old', now() - interval '31 days', now() from generate_series(1, 150)",
            "insert into bubble_sync.dispatches (function, sent_at, settled_at) "
            "select 'kept', now() - interval '29 days', now() from generate_series(1, 10)",
        )

        once, twice = tick(synced), tick(synced, PROCESSOR, PROCESSOR)

        assert [row["function"] for row in once.rows].count("old") == 50
        assert [row["function"] for row in twice.rows] == ["kept"] * 10 + ["bubble_sync_processor"] * 2


class TestLogOff:
    """The request is the same with and without it, to the byte."""

    def test_nothing_is_recorded_and_no_answer_is_read(self, synced: Site):
        install(synced, log=False)
        sent(synced)
        answered(synced, status_code=200, content="{}")
        add_item(synced)

        made = tick(synced)

        assert len(made.rows) == 1
        assert made.rows[0]["verdict"] is None
        assert made.told[0] == SENT

    @pytest.mark.parametrize(("log", "guard"), [(True, False), (True, True), (False, True)])
    def test_request_and_notices_are_the_same(self, synced: Site, log: bool, guard: bool):
        add_item(synced)
        add_item(synced, "failed")
        install(synced, log=False)
        without = tick(synced, PROCESSOR, RETRY)
        install(synced, log=log, guard=guard)

        made = tick(synced, PROCESSOR, RETRY)

        assert made.queued == without.queued
        assert [line.rstrip("0123456789") for line in made.told] == [line.rstrip("0123456789") for line in without.told]
        assert without.rows == []
        assert len(made.rows) == 2

    def test_it_needs_no_table(self, synced: Site):
        install(synced, log=False)
        synced.by_hand("drop table bubble_sync.dispatches")
        add_item(synced)

        made = tick(synced)

        assert made.told[0] == SENT
        assert len(made.told) == 2


def counts(**numbers: object) -> str:
    return json.dumps({"success": True, "data": {"success": 1, "items": [], **numbers}})


ANSWERS = {
    "ok": ({"status_code": 200, "content": counts(processed=3, failed=0)}, ("ok", 3, 0)),
    "counts at the top": ({"status_code": 200, "content": '{"processed": 2, "failed": 0}'}, ("ok", 2, 0)),
    "some failed": ({"status_code": 200, "content": counts(processed=3, failed=1)}, ("partial", 3, 1)),
    "nothing to do": ({"status_code": 200, "content": counts(processed=0, failed=0)}, ("ok", 0, 0)),
    "counts of nothing": ({"status_code": 200, "content": '{"processed": 0, "failed": 0}'}, ("ok", 0, 0)),
    "counts under other names": ({"status_code": 200, "content": '{"syncedCount": 2, "failures": 0}'}, ("ok", 2, 0)),
    "failures under another name": (
        {"status_code": 200, "content": '{"ok": true, "failed_items": 1}'},
        ("partial", None, 1),
    ),
    "counts as text": ({"status_code": 200, "content": '{"data": {"total_processed": "4"}}'}, ("ok", 4, None)),
    "success and no more": ({"status_code": 200, "content": '{"success": true}'}, ("ok", None, None)),
    "success, and no errors": (
        {"status_code": 200, "content": '{"success": true, "error": null, "errors": [ ]}'},
        ("ok", None, None),
    ),
    "success of 1 MB": (
        {"status_code": 200, "content": json.dumps({"items": ["x" * 99] * 10_000, "success": True})},
        ("ok", None, None),
    ),
    "success false": ({"status_code": 200, "content": '{"success": false}'}, ("refused by its body", None, None)),
    "success 0": ({"status_code": 200, "content": '{"success": 0}'}, ("refused by its body", 0, None)),
    "ok 0": ({"status_code": 200, "content": '{"data": {"ok": 0, "items": 3}}'}, ("refused by its body", None, None)),
    "success 0 next to a yes": ({"status_code": 200, "content": '{"ok": true, "success": 0}'}, ("ok", 0, None)),
    "success 0 as a count": (
        {"status_code": 200, "content": '{"success": 0, "failed": 0}'},
        ("ok", 0, 0),
    ),
    "success 0 as a count of some failed": (
        {"status_code": 200, "content": '{"data": {"success": 0, "failed_items": 2}}'},
        ("partial", 0, 2),
    ),
    "success 1": ({"status_code": 200, "content": '{"success": 1}'}, ("ok", 1, None)),
    "success false, and zeros": (
        {"status_code": 200, "content": '{"success": false, "processed": 0, "failed": 0}'},
        ("refused by its body", 0, 0),
    ),
    "an error": ({"status_code": 200, "content": '{"error": "no table"}'}, ("refused by its body", None, None)),
    "an error within": (
        {"status_code": 200, "content": '{"data": {"error": {"code": 1}}}'},
        ("refused by its body", None, None),
    ),
    "errors": ({"status_code": 200, "content": '{"errors": [{"message": "no"}]}'}, ("refused by its body", None, None)),
    "a number of errors": ({"status_code": 200, "content": '{"errors": 2}'}, ("refused by its body", None, None)),
    "errors, and some processed": (
        {"status_code": 200, "content": '{"success": true, "processed": 2, "errors": ["no"]}'},
        ("partial", 2, None),
    ),
    "no body": ({"status_code": 204}, ("answered", None, None)),
    "accepted": ({"status_code": 202, "content": ""}, ("answered", None, None)),
    "blank": ({"status_code": 200, "content": " \r\n"}, ("answered", None, None)),
    "an object that says nothing": ({"status_code": 200, "content": '{"message": "hello"}'}, ("answered", None, None)),
    "a list": ({"status_code": 200, "content": '[{"success": true}]'}, ("answered", None, None)),
    "a number": ({"status_code": 200, "content": "3"}, ("answered", None, None)),
    "a string": ({"status_code": 200, "content": '"success"'}, ("answered", None, None)),
    "more than is read": ({"status_code": 200, "content": "[" + "1," * 1_000_000 + "1]"}, ("answered", None, None)),
    "a log-in page": (
        {"status_code": 200, "content": "<!doctype html><title>Log in</title>"},
        ("not the function's answer", None, None),
    ),
    "the page that a redirect led to": (
        {"status_code": 200, "content": "\n<html>", "headers": '{"location": "/login"}'},
        ("not the function's answer", None, None),
    ),
    "garbage": ({"status_code": 200, "content": '{"success": true'}, ("not the function's answer", None, None)),
    "a text": ({"status_code": 200, "content": "OK"}, ("not the function's answer", None, None)),
    "an error page": ({"status_code": 502, "content": "<html>"}, ("rejected", None, None)),
    "unauthorised": ({"status_code": 401, "content": '{"code": 401}'}, ("rejected", None, None)),
    "an error of the function": ({"status_code": 500, "content": "Internal"}, ("rejected", None, None)),
    "a redirect": ({"status_code": 302, "content": ""}, ("rejected", None, None)),
    "a timeout": ({"timed_out": True, "error_msg": "Timeout of 5 ms reached"}, ("timed out", None, None)),
    "a timeout before 0.19.6": ({"error_msg": "Timeout was reached"}, ("timed out", None, None)),
    "no connection": ({"timed_out": False, "error_msg": "Couldn't connect to server"}, ("rejected", None, None)),
    "nothing at all": ({}, ("rejected", None, None)),
}
ODD = [
    "", " ", "null", "NaN", "true", '{"success": 1}', '{"error": false}', '{"error": NaN}', '{"ok": "true"}',
    '{"Processed_Count": 5, "processed": 4}', '{"success": true, "a": "\\u0000"}', '{"success": true, "a": "\\ud800"}',
    '{"success": true, "a": "\\ud83d\\ude00"}', '{"success": true, "n": 1e131072}', "[" * 500 + "]" * 500,
    "[]", "[1]", '"processed"', "3", "{", "<html>", "{}" * 3, '{"data": []}', '{"data": null}',
    '{"data": {"processed": "many", "failed": -1}}', '{"data": {"processed": 1.5, "failed": 1e400}}',
    '{"data": {"processed": 99999999999999999999, "failed": [1]}}', '{"processed": {"failed": 1}}', '{"a": "\\u0000"}',
    "[" * 100_000, '{"processed": null, "failed": true}', "\ufeff{}",
]  # fmt: skip


class TestTheNextTickSettles:
    """By what pg_net keeps, whoever runs it."""

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(("answer", "wanted"), ANSWERS.values(), ids=list(ANSWERS))
    @pytest.mark.parametrize("call", [PROCESSOR, RETRY], ids=["processor", "retry"])
    def test_an_answer(self, synced: Site, answer: dict[str, object], wanted: tuple[object, ...], call: str):
        sent(synced)
        answered(synced, **answer)

        made = tick(synced, call)

        (row,) = made.rows
        assert (row["verdict"], row["processed"], row["failed"]) == wanted
        assert (row["status_code"], row["error"]) == (answer.get("status_code"), answer.get("error_msg"))
        assert row["settled_at"] is not None
        assert len(made.told) == 1

    @pytest.mark.parametrize(
        ("answer", "least", "most"),
        [
            ({"status_code": 200, "headers": '{"date": "%s"}'}, 2_000, 5_000),
            ({"status_code": 500, "headers": '{"Date": "%s"}'}, 2_000, 5_000),
            ({"timed_out": True, "error_msg": "Timeout of 5000 ms reached. Total time: 5001.2 ms"}, 5_001, 5_001),
        ],
    )
    def test_how_long_it_took(self, synced: Site, answer: dict[str, object], least: int, most: int):
        sent(synced, ago="10 seconds")
        then = datetime.now(UTC) - timedelta(seconds=6)
        values = {name: str(value).replace("%s", format_datetime(then, usegmt=True)) for name, value in answer.items()}
        answered(synced, **values)

        assert least <= tick(synced).rows[0]["duration_ms"] <= most

    @pytest.mark.parametrize(
        "headers",
        ["null", "[]", "{}", '{"date": "yesterday?"}', '{"date": 1}', '{"date": "Thu, 01 Jan 9999 00:00:00 GMT"}'],
    )
    def test_how_long_it_took_is_not_always_known(self, synced: Site, headers: str):
        sent(synced)
        answered(synced, status_code=200, headers=headers, content=counts(processed=2, failed=0))

        (row,) = tick(synced).rows

        assert (row["duration_ms"], row["processed"], row["verdict"]) == (None, 2, "ok")

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("content", ODD)
    def test_an_odd_body_stops_nothing(self, synced: Site, content: str):
        sent(synced)
        answered(synced, status_code=200, content=content)

        made = tick(synced)

        assert [row["verdict"] in VERDICTS for row in made.rows] == [True]
        assert len(made.told) == 1

    def test_a_body_that_is_no_text_stops_nothing_and_is_shown(self, synced: Site):
        sent(synced)
        synced.by_hand(
            "create cast (bytea as text) without function",
            "insert into net._http_response (id, status_code, content) "
            f"values ({REQUEST}, 200, '\\xff1b5b31fe'::bytea::text)",
            "drop cast (bytea as text)",
        )

        (row,) = tick(synced).rows
        assert row["verdict"] == "not the function's answer"
        unknown = "\N{REPLACEMENT CHARACTER}"
        synced.by_hand("update bubble_sync.dispatches set verdict = 'rejected', settled_at = now(), status_code = 500")
        settled = synced.db.read("a test", newest)
        synced.by_hand("update bubble_sync.dispatches set verdict = null, settled_at = null, status_code = null")
        unread = synced.db.read("a test", newest)

        assert [one.verdict for one in (*settled, *unread)] == ["rejected", "not the function's answer"]
        assert {one.quote for one in (*settled, *unread)} == {f"{unknown * 2}[1{unknown}"}

    def test_an_answer_is_read_once(self, synced: Site):
        sent(synced)
        answered(synced, status_code=200)

        (row,) = tick(synced, PROCESSOR, "create temporary table before as select now()", PROCESSOR).rows

        assert row["verdict"] == "answered"

    def test_an_answer_from_before_the_request_is_another_ones(self, synced: Site):
        sent(synced)
        answered(synced, status_code=200, created="2020-01-01")

        assert tick(synced).rows[0]["verdict"] is None

    def test_a_request_without_answer_waits_as_long_as_it_may_come(self, synced: Site):
        sent(synced, ago="4 minutes")

        assert tick(synced).rows[0]["settled_at"] is None

    def test_one_that_is_neither_answered_nor_queued_is_lost(self, synced: Site):
        sent(synced, ago="6 minutes")

        (row,) = tick(synced).rows

        assert (row["verdict"], row["status_code"], row["duration_ms"]) == ("lost", None, None)

    def test_one_that_pg_net_has_not_taken_up_is_not_lost(self, synced: Site):
        sent(synced, ago="7 hours")
        queue = (
            "insert into net.http_request_queue (id, method, url, headers, timeout_milliseconds) "
            f"values ({REQUEST}, 'POST', 'http://127.0.0.1:9', '{{}}', 1)"
        )

        assert tick(synced, queue, PROCESSOR).rows[0]["settled_at"] is None

    def test_no_more_than_a_hundred_at_a_time(self, synced: Site):
        synced.by_hand(
            "insert into bubble_sync.dispatches (function, request_id, sent_at) "
            f"select 'f', {REQUEST} + n, now() - interval '1 day' from generate_series(1, 120) as n"
        )

        assert [row["verdict"] for row in tick(synced).rows].count("lost") == 100

    def test_another_session_that_settles_is_not_waited_for(self, synced: Site):
        sent(synced)
        answered(synced, status_code=200)
        with session(synced, []) as other:
            other.execute(PROCESSOR)
            made = tick(synced)

        assert made.rows[0]["verdict"] is None
        assert len(made.told) == 1


WORDS = st.sampled_from(["success", "ok", "error", "errors", "data", "processed", "Synced", "failed", "totalFailures"])
VALUES = st.sampled_from(
    ["true", "false", "null", "0", "3", '"0"', '"2"', '""', '"no"', "[]", "[1]", "{}", "1.5", '"true"', '"false"']
)


def reply(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write an object; a name may come twice."""
    pairs = st.lists(st.tuples(WORDS, values))
    return pairs.map(lambda them: "{" + ", ".join(f'"{name}": {value}' for name, value in them) + "}")


REPLIES = reply(VALUES | reply(VALUES))


@pytest.mark.matrix
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | REPLIES)
@example(content='{"processed": 1e131072}')
@example(content='{"success": false, "success": true}')
@example(content='{"success": true, "deep": ' + "[" * 50_000 + "]" * 50_000 + "}")
def test_no_body_stops_a_tick_and_a_reader_finds_the_verdict_before_it(synced: Site, content: str):
    synced.by_hand("truncate bubble_sync.dispatches", f"delete from net._http_response where id = {REQUEST}")
    sent(synced)
    answered(synced, status_code=200, content=content)
    (unread,) = synced.db.read("a test", newest)

    made = tick(synced)

    assert [row["verdict"] for row in made.rows] == [unread.verdict]
    assert len(made.told) == 1


WRITTEN = (
    "select coalesce(sum(pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid) "
    "+ pg_stat_get_xact_tuples_deleted(oid)), 0)::int as rows, pg_current_xact_id_if_assigned() is not null as xid "
    "from pg_class where relkind = 'r'"
)


class TestAnIdleTickWritesNothing:
    """No row, no transaction id, no record in the write-ahead log."""

    @pytest.fixture(params=["nothing", "settled", "old", "under way"])
    def idle(self, synced: Site, request: pytest.FixtureRequest) -> Site:
        if request.param in ("settled", "old"):
            sent(synced, ago="40 days" if request.param == "old" else "1 minute")
            synced.by_hand("update bubble_sync.dispatches set settled_at = now(), verdict = 'ok'")
        if request.param == "under way":
            sent(synced)
        return synced

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("guard", [False, True])
    @pytest.mark.parametrize("call", [PROCESSOR, RETRY], ids=["processor", "retry"])
    def test_whatever_is_in_the_log(self, idle: Site, call: str, guard: bool):
        install(idle, guard=guard)
        with session(idle, []) as conn:
            conn.execute(call)
            conn.commit()
            explained = conn.execute(f"explain (analyze, wal, format json) {call}".encode()).fetchone()
            written = conn.execute(WRITTEN).fetchone()

        assert explained is not None
        assert explained["QUERY PLAN"][0]["Plan"]["WAL Records"] == 0
        assert written == {"rows": 0, "xid": False}

    def test_it_reads_next_to_nothing_after_two_days_of_dispatches(self, synced: Site):
        with psycopg.connect(synced.addresses.database_url, autocommit=True) as conn:
            conn.execute(
                "do $$ begin for n in 1..2880 loop "
                "insert into bubble_sync.dispatches (function, request_id) values ('f', n); commit; "
                "update bubble_sync.dispatches set settled_at = now(), verdict = 'ok' where dispatch_id = n; commit; "
                "perform bubble_sync.settle(); commit; end loop; end $$"
            )
            assert pages_read(conn, PROCESSOR) <= 15

    def test_but_one_that_settles_does(self, synced: Site):
        sent(synced)
        answered(synced, status_code=200)
        with session(synced, []) as conn:
            conn.execute(PROCESSOR)
            assert conn.execute(WRITTEN).fetchone() == {"rows": 1, "xid": True}


class TestOverlapGuard:
    """No request while the last one of the same function is unanswered."""

    @pytest.fixture
    def guarded(self, synced: Site) -> Site:
        install(synced, guard=True)
        add_item(synced)
        return synced

    def test_without_it_each_tick_sends(self, synced: Site):
        add_item(synced)

        assert len(tick(synced, PROCESSOR, PROCESSOR).queued) == 2

    def test_with_it_a_tick_is_skipped_and_counted(self, guarded: Site):
        made = tick(guarded, PROCESSOR, PROCESSOR, PROCESSOR)

        assert len(made.queued) == 1
        assert [row["skipped"] for row in made.rows] == [2]
        assert made.told[0] == SENT
        assert made.told[2:] == [SKIPPED, SKIPPED]

    def test_an_answer_lets_the_next_one_go(self, guarded: Site):
        sent(guarded)
        answered(guarded, status_code=500)

        made = tick(guarded)

        assert len(made.queued) == 1
        assert [row["verdict"] for row in made.rows] == ["rejected", None]

    @pytest.mark.parametrize(("ago", "requests"), [("85 seconds", 0), ("95 seconds", 1)])
    def test_a_lease_ends_a_minute_after_the_timeout(self, guarded: Site, ago: str, requests: int):
        sent(guarded, ago=ago)

        assert len(tick(guarded).queued) == requests

    def test_one_function_does_not_hold_back_the_other(self, guarded: Site):
        sent(guarded, function="bubble_sync_retry")

        assert len(tick(guarded).queued) == 1

    def test_of_two_calls_at_the_same_time_one_sends(self, guarded: Site):
        with session(guarded, []) as first:
            first.execute(PROCESSOR)
            second = tick(guarded)

        assert second.queued == []
        assert second.told == [SKIPPED]
        assert tick(guarded).told[0] == SENT

    def test_it_waits_a_second_at_most_to_count_the_other_one(self, guarded: Site):
        sent(guarded, ago="1 hour")
        with session(guarded, []) as first:
            first.execute(PROCESSOR)
            second = tick(guarded)

        assert second.queued == []
        assert second.told == [
            "WARNING [bubble_sync_processor] dispatch log: a skipped tick is not counted (SQLSTATE 55P03)",
            SKIPPED,
        ]

    def test_it_keeps_its_log_where_no_other_is_kept(self, guarded: Site):
        install(guarded, log=False, guard=True)

        made = tick(guarded, PROCESSOR, PROCESSOR)

        assert len(made.queued) == 1
        assert made.rows[0]["skipped"] == 1


LOG, GUARD = "[bubble_sync_processor] dispatch log:", "[bubble_sync_processor] overlap guard:"
NOT_READ, NOT_RECORDED = f"{LOG} answers are not read", f"{LOG} request"
RUN_NOT_KNOWN = f"{LOG} its run is not known"
NOT_KNOWN = f"{GUARD} it is not known what is under way"
EVERYTHING = [NOT_READ, NOT_RECORDED]
UNREADABLE = "revoke pg_read_all_data from postgres; "
TABLE = "alter table bubble_sync.dispatches"
ANSWER = "alter table net._http_response"
BROKEN: dict[str, tuple[str, list[str]]] = {
    "no table": ("drop table bubble_sync.dispatches", EVERYTHING),
    "a view in its place": (
        f"{TABLE} rename to other; create view bubble_sync.dispatches as select 1 as dispatch_id",
        EVERYTHING,
    ),
    "no column to settle": (f"{TABLE} drop settled_at", [NOT_READ]),
    "no column for the verdict": (f"{TABLE} drop verdict", [NOT_READ]),
    "no column to look for": (f"{TABLE} drop function", [NOT_KNOWN, NOT_RECORDED]),
    "no column to record": (f"{TABLE} drop runid", [NOT_RECORDED]),
    "no identity": (f"{TABLE} alter dispatch_id drop identity", [NOT_RECORDED]),
    "a constraint": (f"{TABLE} add check (waiting < 0) not valid", EVERYTHING),
    "another owner": (f"{UNREADABLE}{TABLE} owner to supabase_admin", EVERYTHING),
    "only to be read": (f"{TABLE} owner to supabase_admin", EVERYTHING),
    "no right to delete": ("revoke delete on bubble_sync.dispatches from postgres", [NOT_RECORDED]),
    "no settle": ("drop function bubble_sync.settle", [NOT_READ]),
    "no guard": ("drop function bubble_sync.unanswered", [NOT_KNOWN]),
    "no record": ("drop function bubble_sync.record", [NOT_RECORDED]),
    "no right to settle": ("revoke execute on function bubble_sync.settle from postgres", [NOT_READ]),
    "no right to guard": ("revoke execute on function bubble_sync.unanswered from postgres", [NOT_KNOWN]),
    "no right to record": ("revoke execute on function bubble_sync.record from postgres", [NOT_RECORDED]),
    "runs that may not be read": (
        f"{UNREADABLE}revoke all on cron.job_run_details from public, postgres",
        [RUN_NOT_KNOWN],
    ),
    "runs without pids": ("alter table cron.job_run_details drop job_pid", [RUN_NOT_KNOWN]),
    "no pg_cron": ("drop extension pg_cron cascade", []),
    "no table of answers": (f"{ANSWER} rename to elsewhere", [NOT_READ]),
    "answers that may not be read": (f"{UNREADABLE}revoke all on net._http_response from public, postgres", [NOT_READ]),
    "answers without status": (f"{ANSWER} drop status_code", [NOT_READ]),
    "answers of another type": (f"{ANSWER} alter status_code type text", [NOT_READ]),
    "a status that is no number": (
        f"{ANSWER} alter status_code type text; update net._http_response set status_code = 'CANARY'",
        [NOT_READ],
    ),
}


class TestNothingInTheLogStopsARequest:
    """A warning at most, and no key in it."""

    @pytest.fixture
    def guarded(self, synced: Site) -> Site:
        install(synced, guard=True)
        add_item(synced)
        sent(synced)
        return synced

    def assert_sent(self, made: Tick, warnings: Sequence[str]) -> None:
        assert len(made.queued) == 1
        assert SENT in made.told
        assert "request ID" in made.told[-1]
        said = [line.removeprefix("WARNING ") for line in made.told if line.startswith("WARNING")]
        assert [line for line, start in zip(said, warnings, strict=True) if not line.startswith(start)] == []

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize(("by_hand", "warnings"), BROKEN.values(), ids=list(BROKEN))
    def test_whatever_is_broken(
        self, guarded: Site, server_log: ServerLog, canary: str, by_hand: str, warnings: list[str]
    ):
        # An answer that holds the key, as an endpoint might give that returns what it got.
        answered(guarded, status_code=200, content=canary, error_msg=canary)
        hidden = "set log_statement = 'none'"
        guarded.by_hand(hidden, *by_hand.replace("CANARY", canary).split("; "))
        from_here = len(server_log.appended)

        made = tick(guarded)

        self.assert_sent(made, warnings)
        assert canary not in "".join(made.told) + server_log.appended[from_here:]

    @pytest.mark.parametrize(
        ("table", "warnings"),
        [
            ("bubble_sync.dispatches", EVERYTHING),
            ("net._http_response", [NOT_READ]),
            ("cron.job_run_details", [RUN_NOT_KNOWN]),
        ],
    )
    def test_a_table_that_is_locked(self, guarded: Site, table: str, warnings: list[str]):
        told: list[str] = []
        answered(guarded, status_code=200)
        with psycopg.connect(guarded.addresses.admin_url) as other, session(guarded, told) as conn:
            other.execute(f"lock table {table}".encode())
            conn.execute("set local lock_timeout = '7s'")
            conn.execute(PROCESSOR)
            queued = conn.execute(QUEUED).fetchall()
            left = conn.execute("show lock_timeout").fetchone()

        self.assert_sent(Tick(told, queued, []), warnings)
        assert all("SQLSTATE 55P03" in line for line in told if line.startswith("WARNING"))
        assert left == {"lock_timeout": "7s"}

    def test_a_skipped_tick_that_cannot_be_counted_is_skipped_all_the_same(self, guarded: Site):
        guarded.by_hand("alter table bubble_sync.dispatches drop skipped")

        made = tick(guarded)

        assert made.queued == []
        assert made.told == [f"WARNING {LOG} a skipped tick is not counted (SQLSTATE 42703)", SKIPPED]


class TestTheTable:
    """Made with the ledger, and found when a hand changes it."""

    def test_it_is_made_once_and_then_as_wanted(self, site: Site):
        made = site.converge(ledger_spec())

        assert made.actual == ledger_spec()
        assert site.observe(ledger_spec()) == made
        assert site.converge(ledger_spec()) == made

    def test_it_is_not_made_where_no_log_is_kept(self, site: Site):
        site.converge(ledger_spec(tables=[]))

        assert site.by_hand("select to_regclass('bubble_sync.dispatches') is null as absent") == [{"absent": True}]

    def test_one_of_an_earlier_version_takes_new_words_and_keeps_its_rows(self, prepared: Site):
        prepared.by_hand(
            "alter table bubble_sync.dispatches drop constraint dispatches_verdict_check, add check "
            "(verdict in ('ok', 'partial', 'rejected', 'timed out', 'lost'))",
        )
        sent(prepared)
        prepared.by_hand("update bubble_sync.dispatches set verdict = 'ok', settled_at = now()")
        (seen,) = prepared.observe(ledger_spec()).actual.tables

        assert seen.startswith("dispatches (without constraint dispatches_verdict_check")
        assert prepared.converge(ledger_spec()).actual == ledger_spec()
        assert prepared.by_hand(
            "insert into bubble_sync.dispatches (verdict) values ('not the function''s answer')",
            "select verdict from bubble_sync.dispatches order by dispatch_id",
        ) == [{"verdict": "ok"}, {"verdict": "not the function's answer"}]

    def test_one_that_is_wanted_no_more_stays(self, prepared: Site):
        sent(prepared)
        prepared.converge(ledger_spec(tables=[]))

        assert prepared.by_hand("select count(*) from bubble_sync.dispatches") == [{"count": 1}]
        assert prepared.observe(ledger_spec(tables=[])).actual == ledger_spec(tables=[])

    def test_both_settings_want_it(self):
        def tables(**told: str) -> tuple[str, ...]:
            (spec,) = (
                one for one in desired_state(read_settings(config(**told)), Owner(STACK)) if one.kind == "ledger"
            )
            return spec.tables

        assert tables(dispatchLog="false") == ()
        assert tables() == tables(dispatchLog="false", retry='{"overlapGuard": true}') == ("dispatches",)

    @pytest.mark.parametrize(
        ("by_hand", "seen"),
        [
            ("drop table bubble_sync.dispatches", ()),
            ("alter table bubble_sync.dispatches drop runid, drop verdict",
             ("dispatches (without column runid bigint, column verdict text, constraint dispatches_verdict_check)",)),
            ("alter table bubble_sync.dispatches drop constraint dispatches_verdict_check",
             ("dispatches (without constraint dispatches_verdict_check)",)),
            ("alter table bubble_sync.dispatches drop waiting",
             ("dispatches (without column waiting integer not null default 0)",)),
            ("drop index bubble_sync.dispatches_outstanding",
             ("dispatches (without index dispatches_outstanding)",)),
            ("alter table bubble_sync.dispatches drop dispatch_id",
             ("dispatches (without column dispatch_id bigint not null identity, constraint dispatches_pkey, "
              "index dispatches_outstanding)",)),
            ("alter table bubble_sync.dispatches alter waiting drop not null",
             ("dispatches (without column waiting integer not null default 0)",)),
            ("alter table bubble_sync.dispatches alter dispatch_id drop identity",
             ("dispatches (without column dispatch_id bigint not null identity)",)),
            ("alter table bubble_sync.dispatches add mine text", ("dispatches",)),
        ],
    )  # fmt: skip
    def test_a_hand_that_takes_something_away_is_found_and_mended(
        self, prepared: Site, by_hand: str, seen: tuple[str, ...]
    ):
        sent(prepared)
        prepared.by_hand(by_hand)

        assert prepared.observe(ledger_spec()).actual.tables == seen
        assert prepared.converge(ledger_spec()).actual == ledger_spec()

    @pytest.mark.parametrize(
        "by_hand",
        [
            "alter table bubble_sync.dispatches alter runid type text",
            "alter table bubble_sync.dispatches owner to service_role",
            "drop table bubble_sync.dispatches; create view bubble_sync.dispatches as select 1 as runid",
        ],
    )
    def test_what_cannot_be_mended_is_refused_with_what_to_do(self, prepared: Site, by_hand: str):
        prepared.by_hand(*by_hand.split("; "))

        with pytest.raises(ForeignObject, match="dispatches set schema bubble_sync_before"):
            prepared.converge(ledger_spec())

    @pytest.mark.parametrize(
        "grant",
        [
            "select on bubble_sync.dispatches to anon",
            "usage on sequence bubble_sync.dispatches_dispatch_id_seq to anon",
        ],
    )
    def test_nobody_else_may_read_it(self, prepared: Site, grant: str):
        prepared.by_hand(f"grant {grant}")

        assert prepared.observe(ledger_spec()).actual.grantees == ("anon",)
        assert prepared.converge(ledger_spec()).actual == ledger_spec()

    def test_it_is_kept_with_the_ledger(self, prepared: Site):
        sent(prepared)

        assert "it lists the objects" in str(prepared.remove(ledger_spec()))
        assert prepared.by_hand("select count(*) from bubble_sync.dispatches") == [{"count": 1}]
