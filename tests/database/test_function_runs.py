"""The three functions as a job runs them: what each branch says, what it sends, and who may run it.

The hosted role calls them over a connection of its own, as pg_cron does.
"""

from __future__ import annotations

import json
import queue
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from bubble_sync.config.validators import check_url
from bubble_sync.specs import FunctionSpec
from bubble_sync.sql_loader import with_constants
from tests.fixtures.recorder import Recorder
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import jwt, secret_spec

PROCESSOR = "SELECT invoke_bubble_sync_processor()"
RETRY = "SELECT invoke_bubble_sync_retry()"
SETTLE = "SELECT bubble_sync.settle()"
UNANSWERED = "SELECT bubble_sync.unanswered('s', 1)"
RECORD = "SELECT bubble_sync.record('s', 1, 1)"
SEND = "SELECT bubble_sync.send('s', 'a', '{}', 1, 'supabase_url', 'service_role_key')"
CALLS = {
    "public.invoke_bubble_sync_processor()": PROCESSOR,
    "public.invoke_bubble_sync_retry()": RETRY,
    "bubble_sync.send(text, text, jsonb, integer, text, text)": SEND,
    "bubble_sync.settle()": SETTLE,
    "bubble_sync.unanswered(text, integer)": UNANSWERED,
    "bubble_sync.record(text, bigint, bigint)": RECORD,
}
TAGS = {PROCESSOR: "[bubble_sync_processor]", RETRY: "[bubble_sync_retry]"}
FOUND = {
    PROCESSOR: "[bubble_sync_processor] Found 1 pending items, invoking Edge Function",
    RETRY: "[bubble_sync_retry] Found 1 failed items ready for retry, invoking Edge Function",
}
# An address that nobody asks: what goes there is rolled back.
ELSEWHERE = "https://example.com"
QUEUED = (
    "select method::text, url, headers, convert_from(body, 'UTF8') as body, timeout_milliseconds "
    "from net.http_request_queue order by id"
)

each_job = pytest.mark.parametrize("call", [PROCESSOR, RETRY], ids=["processor", "retry"])


@dataclass(frozen=True)
class Run:
    """What one call told its caller."""

    told: Sequence[str]
    """Notices and warnings, as `NOTICE text`."""
    error: str | None
    """The primary message of the error, if it ended with one."""
    everything: str
    """Every field of every message, and the text that pg_cron stores of a failed run."""
    queued: Sequence[psycopg.rows.DictRow]
    """The requests that wait for the commit."""


def fields(diagnostic: psycopg.errors.Diagnostic) -> str:
    names = [name for name in dir(psycopg.errors.Diagnostic) if not name.startswith("_")]
    return "\n".join(str(getattr(diagnostic, name)) for name in names)


def run(site: Site, call: str, *before: str, commit: bool = False) -> Run:
    """Call a function in a transaction of the hosted role, after other statements of its session."""
    told: list[str] = []
    everything: list[str] = []
    error, queued = None, []
    with psycopg.connect(site.addresses.database_url, row_factory=psycopg.rows.dict_row) as conn:
        for statement in before:
            conn.execute(statement)
        conn.add_notice_handler(lambda notice: told.append(f"{notice.severity} {notice.message_primary}"))
        conn.add_notice_handler(lambda notice: everything.append(fields(notice)))
        try:
            conn.execute(call)
            with suppress(psycopg.errors.InvalidSchemaName), conn.transaction():
                queued = conn.execute(QUEUED).fetchall()
        except psycopg.Error as raised:
            error = raised.diag.message_primary
            everything += [str(raised), fields(raised.diag), raised.pgresult.error_message.decode()]
        if not commit:
            conn.rollback()
    return Run(told, error, "\n".join(everything), queued)


def add_item(site: Site, **columns: str) -> None:
    """Put an item into the queue; values are SQL expressions, and the default is a pending insert."""
    values = {"operation": "'INSERT'", "status": "'pending'", **columns}
    site.by_hand(
        f"insert into public.sync_queue (table_name, record_id, {', '.join(values)}) "
        f"values ('user', gen_random_uuid()::text, {', '.join(values.values())})"
    )


def add_failed(site: Site, **columns: str) -> None:
    add_item(site, **{"status": "'failed'", **columns})


def add_due(site: Site) -> None:
    """Put in one item for each of the two jobs."""
    add_item(site)
    add_failed(site)


def store(site: Site, url: str | None = None, key: str | None = None) -> None:
    """Store the two secrets, as far as they are given."""
    for name, value in (("supabase_url", url), ("service_role_key", key)):
        if value is not None:
            site.converge(secret_spec(name=name, value=value))


def install(site: Site, *specs: FunctionSpec) -> None:
    for spec in specs or stack_functions():
        site.converge(spec)


@pytest.fixture
def bare(prepared: Site) -> Site:
    """A project with the functions, without secrets or items."""
    install(prepared)
    return prepared


@pytest.fixture
def synced(bare: Site) -> Site:
    """A project with functions and secrets, without items."""
    store(bare, ELSEWHERE, jwt())
    return bare


@pytest.fixture
def canary() -> str:
    """A text that is nowhere but in a secret."""
    return f"canary{secrets.token_hex(12)}"


class TestWhatCounts:
    """Which items make a run call the Edge Function."""

    def test_nothing_pending_is_said_and_nothing_is_sent(self, synced: Site):
        ran = run(synced, PROCESSOR)

        assert ran.told == ["NOTICE [bubble_sync_processor] No pending items in queue"]
        assert (ran.error, ran.queued) == (None, [])

    def test_nothing_failed_is_said_and_nothing_is_sent(self, synced: Site):
        ran = run(synced, RETRY)

        assert ran.told == ["NOTICE [bubble_sync_retry] No failed items ready for retry"]
        assert (ran.error, ran.queued) == (None, [])

    def test_pending_items_are_counted_and_the_request_id_is_told(self, synced: Site):
        for operation in ("SIGNUP_ATOMIC", "INSERT", "UPDATE", "UPDATE", "DELETE"):
            add_item(synced, operation=f"'{operation}'")

        ran = run(synced, PROCESSOR)

        assert ran.told == [
            "NOTICE [bubble_sync_processor] Found 4 pending items, invoking Edge Function",
            "NOTICE [bubble_sync_processor] Edge Function invoked, request ID: 1",
        ]
        assert len(ran.queued) == 1

    @pytest.mark.parametrize("operation", ["SIGNUP_ATOMIC", "INSERT", "UPDATE"])
    def test_one_pending_item_of_an_operation_that_is_synced_is_enough(self, synced: Site, operation: str):
        add_item(synced, operation=f"'{operation}'")

        assert run(synced, PROCESSOR).told[0] == f"NOTICE {FOUND[PROCESSOR]}"

    @pytest.mark.parametrize(
        "columns",
        [
            {"operation": "'DELETE'"},
            {"status": "'processing'"},
            {"status": "'completed'"},
            {"status": "'failed'"},
            {"status": "'skipped'"},
        ],
        ids=lambda columns: "".join(columns.values()).strip("'"),
    )
    def test_an_item_that_the_processor_leaves_alone(self, synced: Site, columns: dict[str, str]):
        add_item(synced, **columns)

        assert run(synced, PROCESSOR).told == ["NOTICE [bubble_sync_processor] No pending items in queue"]

    def test_failed_items_that_are_due_are_counted_and_the_request_id_is_told(self, synced: Site):
        add_failed(synced)
        add_failed(synced, operation="'DELETE'", next_retry_at="now() - interval '1 hour'")
        add_failed(synced, next_retry_at="now() + interval '1 hour'")

        assert run(synced, RETRY).told == [
            "NOTICE [bubble_sync_retry] Found 2 failed items ready for retry, invoking Edge Function",
            "NOTICE [bubble_sync_retry] Edge Function invoked, request ID: 1",
        ]

    @pytest.mark.parametrize(
        "columns",
        [
            {"next_retry_at": "null"},
            {"next_retry_at": "now() - interval '1 second'"},
            {"next_retry_at": "'-infinity'"},
            {"retry_count": "2", "max_retries": "3"},
        ],
        ids=lambda columns: " ".join(columns.values()),
    )
    def test_a_failed_item_that_is_due(self, synced: Site, columns: dict[str, str]):
        add_failed(synced, **columns)

        assert run(synced, RETRY).told[0] == f"NOTICE {FOUND[RETRY]}"

    @pytest.mark.parametrize(
        "columns",
        [
            {"next_retry_at": "now() + interval '1 minute'"},
            {"next_retry_at": "'infinity'"},
            {"retry_count": "3", "max_retries": "3"},
            {"retry_count": "4", "max_retries": "3"},
            {"retry_count": "0", "max_retries": "0"},
            {"status": "'pending'"},
            {"status": "'processing'"},
            {"status": "'completed'"},
            {"status": "'skipped'"},
        ],
        ids=lambda columns: " ".join(columns.values()),
    )
    def test_a_failed_item_that_is_not_due(self, synced: Site, columns: dict[str, str]):
        add_failed(synced, **columns)

        assert run(synced, RETRY).told == ["NOTICE [bubble_sync_retry] No failed items ready for retry"]

    def test_an_item_is_due_at_the_very_moment_of_its_next_attempt(self, synced: Site):
        at_now = (
            "insert into public.sync_queue (table_name, record_id, operation, status, next_retry_at) "
            "values ('user', '1', 'INSERT', 'failed', now())"
        )

        assert run(synced, RETRY, at_now).told[0] == f"NOTICE {FOUND[RETRY]}"

    @each_job
    def test_a_run_changes_no_item(self, synced: Site, call: str):
        add_due(synced)
        before = synced.by_hand("select * from public.sync_queue order by id")

        run(synced, call, commit=True)

        assert synced.by_hand("select * from public.sync_queue order by id") == before


@each_job
class TestMissingSecrets:
    """A project that is not set up yet: said as a warning, and nothing is sent."""

    @pytest.mark.parametrize("given", [{}, {"url": ELSEWHERE}, {"key": "k"}], ids=["none", "no key", "no url"])
    def test_a_secret_that_is_not_there(self, bare: Site, call: str, given: dict[str, str]):
        store(bare, **given)
        add_due(bare)

        ran = run(bare, call)

        assert ran.told == [f"NOTICE {FOUND[call]}", f"WARNING {TAGS[call]} Vault secrets not configured"]
        assert (ran.error, ran.queued) == (None, [])

    @pytest.mark.parametrize("name", ["supabase_url", "service_role_key"])
    def test_a_secret_that_is_empty(self, synced: Site, call: str, name: str):
        synced.by_hand(f"select vault.update_secret(id, '') from vault.secrets where name = '{name}'")
        add_due(synced)

        ran = run(synced, call)

        assert ran.told == [f"NOTICE {FOUND[call]}", f"WARNING {TAGS[call]} Vault secrets not configured"]
        assert (ran.error, ran.queued) == (None, [])

    def test_nothing_is_asked_of_vault_while_nothing_waits(self, bare: Site, call: str):
        bare.by_hand("drop extension supabase_vault")

        ran = run(bare, call)

        assert len(ran.told) == 1
        assert ran.error is None


BODIES = {
    PROCESSOR: b'{"action": "process_queue_data_api", "payload": {"limit": 10, "batch_size": 5}}',
    RETRY: b'{"action": "retry_failed", "payload": {}}',
}


def headers_of(request: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Split what came in: the request line, the headers without those that name the client, the body."""
    head, body = request.split(b"\r\n\r\n", 1)
    line, *lines = head.split(b"\r\n")
    named = [one.decode().split(": ", 1) for one in lines]
    assert len({name.lower() for name, _ in named}) == len(named), "no header comes twice"
    return line, {name: value for name, value in named if name not in ("User-Agent", "Accept", "Host")}, body


class TestTheRequest:
    """What the Edge Function sees, and what waits for pg_net before the commit."""

    @each_job
    @pytest.mark.parametrize(
        ("key", "header"),
        [
            (jwt(), {"Authorization": f"Bearer {jwt()}"}),
            ("opaque-key_of.a/custom+gateway=", {"Authorization": "Bearer opaque-key_of.a/custom+gateway="}),
            ("sb_secret_abc_DEF-123", {"apikey": "sb_secret_abc_DEF-123"}),
        ],
        ids=["legacy JWT", "opaque key", "secret key"],
    )
    def test_it_arrives_byte_for_byte(
        self, bare: Site, recorder: Recorder, call: str, key: str, header: dict[str, str]
    ):
        store(bare, recorder.url, key)
        add_due(bare)

        ran = run(bare, call, commit=True)
        line, headers, body = headers_of(recorder.next_request())

        assert ran.error is None
        assert line == b"POST /functions/v1/bubble_sync HTTP/1.1"
        assert body == BODIES[call]
        assert headers == {"Content-Type": "application/json", "Content-Length": str(len(body)), **header}

    def test_a_rolled_back_run_sends_nothing(self, bare: Site, recorder: Recorder):
        store(bare, recorder.url, "key")
        add_due(bare)

        run(bare, PROCESSOR, commit=False)
        run(bare, RETRY, commit=True)

        assert recorder.next_request().endswith(BODIES[RETRY])
        assert recorder.requests.empty()

    def test_a_slash_at_the_end_of_the_url_is_not_doubled(self, bare: Site, recorder: Recorder):
        store(bare, f"{recorder.url}/", "key")
        add_item(bare)

        run(bare, PROCESSOR, commit=True)

        assert recorder.next_request().startswith(b"POST /functions/v1/bubble_sync HTTP/1.1\r\n")

    @each_job
    def test_the_guides_numbers_wait_in_the_queue(self, synced: Site, call: str):
        add_due(synced)

        assert run(synced, call).queued == [
            {
                "method": "POST",
                "url": f"{ELSEWHERE}/functions/v1/bubble_sync",
                "headers": {"Content-Type": "application/json", "Authorization": f"Bearer {jwt()}"},
                "body": BODIES[call].decode(),
                "timeout_milliseconds": 30000,
            }
        ]

    @pytest.mark.parametrize(
        ("max_items", "batch_size", "timeout_ms"), [(25, 7, 45000), (1, 1, 1), (9_999_999, 9_999_999, 120_000)]
    )
    def test_a_stacks_own_numbers_wait_in_the_queue(
        self, synced: Site, max_items: int, batch_size: int, timeout_ms: int
    ):
        *_, processor, retry = stack_functions()
        sizes = {"max_items": max_items, "batch_size": batch_size, "timeout_ms": timeout_ms}
        install(synced, with_numbers(processor, **sizes), with_numbers(retry, timeout_ms=timeout_ms))
        add_due(synced)

        (processed,) = run(synced, PROCESSOR).queued
        (retried,) = run(synced, RETRY).queued

        payload = {"limit": max_items, "batch_size": batch_size}
        assert json.loads(processed["body"]) == {"action": "process_queue_data_api", "payload": payload}
        assert json.loads(retried["body"]) == {"action": "retry_failed", "payload": {}}
        assert processed["timeout_milliseconds"] == retried["timeout_milliseconds"] == timeout_ms

    def test_a_stacks_settings_reach_the_request(self, synced: Site):
        install(synced, *stack_functions(max_items=25, batch_size=20, timeout_ms=60000))
        add_item(synced)

        (queued,) = run(synced, PROCESSOR).queued

        assert json.loads(queued["body"])["payload"] == {"limit": 25, "batch_size": 20}
        assert queued["timeout_milliseconds"] == 60000

    def test_secrets_of_other_names_are_read(self, synced: Site):
        *_, processor, _ = stack_functions()
        names = {"url_secret": "it's a url", "key_secret": "my key"}
        install(synced, processor.model_copy(update={"body": with_constants(processor.body, names)}))
        synced.converge(secret_spec(name="it's a url", value="https://other.example.com"))
        synced.converge(secret_spec(name="my key", value="sb_secret_other"))
        add_item(synced)

        (queued,) = run(synced, PROCESSOR).queued

        assert queued["url"] == "https://other.example.com/functions/v1/bubble_sync"
        assert queued["headers"] == {"Content-Type": "application/json", "apikey": "sb_secret_other"}

    @pytest.mark.parametrize(
        "url",
        [
            "https://abcdefghijklmnopqrst.supabase.co",
            "https://sync.example.com:8443",
            "https://10.0.0.7",
            "https://[::1]:8443",
            "http://localhost:54321",
            "http://127.0.0.1:54321",
            "http://127.8.9.10",
            "http://[::1]:54321",
        ],
    )
    def test_an_address_that_may_be_asked(self, bare: Site, url: str):
        store(bare, url, "key")
        add_item(bare)

        assert [request["url"] for request in run(bare, PROCESSOR).queued] == [f"{url}/functions/v1/bubble_sync"]


def with_numbers(spec: FunctionSpec, **constants: int) -> FunctionSpec:
    return spec.model_copy(update={"body": with_constants(spec.body, constants)})


def with_text(spec: FunctionSpec, constant: str, text: str) -> FunctionSpec:
    """Write a constant's value as a hand would, whatever it is."""
    body, count = re.subn(rf"({constant} constant \w+ := )[^;]+;", rf"\g<1>{text};", spec.body)
    assert count == 1
    return spec.model_copy(update={"body": body})


ABSURD = ["null", "0", "-1", "2147483647"]
PROCESSOR_ABSURD = [
    *((name, value) for name in ("max_items", "batch_size", "timeout_ms") for value in ABSURD),
    ("max_items", "10000000"),
    ("batch_size", "10000000"),
    ("timeout_ms", "120001"),
    ("url_secret", "null"),
    ("key_secret", "null"),
]
RETRY_ABSURD = [(name, value) for name, value in PROCESSOR_ABSURD if name not in ("max_items", "batch_size")]


class TestAbsurdConstants:
    """A constant that a hand has spoilt ends the run before Vault is read."""

    def refused(self, site: Site, spec: FunctionSpec, call: str) -> Run:
        install(site, spec)
        add_due(site)
        # Were Vault read first, the error would be that it cannot be.
        site.by_hand("drop extension supabase_vault")
        ran = run(site, call)
        assert ran.told == [f"NOTICE {FOUND[call]}"]
        return ran

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize(("constant", "text"), PROCESSOR_ABSURD)
    def test_in_the_processor(self, synced: Site, constant: str, text: str):
        spec = with_text(stack_functions()[-2], constant, text)

        assert self.refused(synced, spec, PROCESSOR).error == "[bubble_sync_processor] secret or number is malformed"

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize(("constant", "text"), RETRY_ABSURD)
    def test_in_the_retry(self, synced: Site, constant: str, text: str):
        spec = with_text(stack_functions()[-1], constant, text)

        assert self.refused(synced, spec, RETRY).error == "[bubble_sync_retry] secret or number is malformed"

    def test_one_that_is_no_integer_at_all_is_refused_by_the_server(self, synced: Site):
        install(synced, with_text(stack_functions()[-2], "max_items", "99999999999"))
        add_due(synced)

        ran = run(synced, PROCESSOR)

        assert (ran.error, ran.queued) == ("integer out of range", [])

    @pytest.mark.parametrize(
        "arguments",
        [
            "null, 'a', '{}', 1, 'supabase_url', 'service_role_key'",
            "'s', null, '{}', 1, 'supabase_url', 'service_role_key'",
            "'s', 'a', null, 1, 'supabase_url', 'service_role_key'",
            """'s', 'a', '{"limit": "10"}', 1, 'supabase_url', 'service_role_key'""",
            """'s', 'a', '{"limit": 1.5}', 1, 'supabase_url', 'service_role_key'""",
            """'s', 'a', '{"limit": null}', 1, 'supabase_url', 'service_role_key'""",
        ],
    )
    def test_an_argument_of_send_that_no_function_of_ours_gives(self, synced: Site, arguments: str):
        ran = run(synced, f"select bubble_sync.send({arguments})")

        assert re.fullmatch(r"\[(s|bubble_sync)\] secret or number is malformed", ran.error)


MALFORMED_URLS = {
    "http elsewhere": "http://CANARY.example.com",
    "http to a name that begins like this machine": "http://localhost.CANARY.com",
    "http to a name that begins like a loopback address": "http://127.0.0.1.CANARY.com",
    "a path": "https://CANARY.example.com/rest/v1",
    "two slashes": "https://CANARY.example.com//",
    "a query": "https://CANARY.example.com?a=1",
    "a fragment": "https://CANARY.example.com#a",
    "user info": "https://me:CANARY@example.com",
    "a line break at the end": "https://CANARY.example.com\n",
    "a line break within": "https://CANARY.example.com\nhttps://example.com",
    "a space": " https://CANARY.example.com",
    "another scheme": "ftp://CANARY.example.com",
    "no scheme": "CANARY.example.com",
    "a letter outside ASCII": "https://CANARYž.example.com",
    "a port that is none": "https://CANARY.example.com:port",
    "nothing but a scheme": "https://",
}
MALFORMED_KEYS = {
    "a line break at the end": "CANARY\n",
    "a header of its own": "CANARY\r\nX-Other: 1",
    "a space": "CANARY key",
    "a space in front": " CANARY",
    "a tab": "CANARY\tkey",
    "a letter outside ASCII": "CANARYž",
    "an invisible letter": "CANARY\u200b",
    "a control character": "CANARY\x7f",
    "a secret key with a line break": "sb_secret_CANARY\n",
}


class TestFailures:
    """A run that fails says why in one line, and no value of a secret goes with it."""

    def failure(self, site: Site, log: ServerLog, canary: str) -> str:
        """Run both jobs, and return in which words both fail."""
        errors = set()
        for call in (PROCESSOR, RETRY):
            ran = run(site, call)
            assert ran.told == [f"NOTICE {FOUND[call]}"]
            assert ran.queued == []
            assert ran.error in log.appended, "the log has the failure"
            assert canary not in log.appended
            assert canary not in ran.everything
            assert ran.error.startswith(f"{TAGS[call]} ")
            errors.add(ran.error.removeprefix(f"{TAGS[call]} "))
        (error,) = errors
        return error

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("url", MALFORMED_URLS.values(), ids=list(MALFORMED_URLS))
    def test_a_malformed_url(self, bare: Site, server_log: ServerLog, canary: str, url: str):
        store(bare, url.replace("CANARY", canary), canary)
        add_due(bare)

        assert self.failure(bare, server_log, canary) == "secret or number is malformed"

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("key", MALFORMED_KEYS.values(), ids=list(MALFORMED_KEYS))
    def test_a_malformed_key(self, bare: Site, server_log: ServerLog, canary: str, key: str):
        store(bare, ELSEWHERE, key.replace("CANARY", canary))
        add_due(bare)

        assert self.failure(bare, server_log, canary) == "secret or number is malformed"

    @pytest.mark.parametrize(
        ("by_hand", "state"),
        [
            ("update vault.secrets set secret = encode('not of this key, and long enough', 'base64')", "22000"),
            ("update vault.secrets set secret = 'in.clear.text.CANARY'", "22023"),
            ("revoke execute on function vault._crypto_aead_det_decrypt from postgres", "42501"),
            ("drop extension supabase_vault", "42P01"),
        ],
    )
    def test_vault_that_cannot_be_read(
        self, synced: Site, server_log: ServerLog, canary: str, by_hand: str, state: str
    ):
        store(synced, key=canary)
        add_due(synced)
        with unlogged(synced) as hand:
            hand.execute(by_hand.replace("CANARY", canary).encode())

        assert self.failure(synced, server_log, canary) == f"Vault secrets cannot be read (SQLSTATE {state})"

    @pytest.mark.parametrize(
        ("by_hand", "state"),
        [
            ("alter table net.http_request_queue add constraint none check (method = 'GET')", "23514"),
            ("alter table net.http_request_queue alter id set default null", "23502"),
            ("alter table net.http_request_queue drop column timeout_milliseconds", "42703"),
            ("revoke execute on function net.http_post from public", "42501"),
            ("revoke all on net.http_request_queue from public", "42501"),
            ("drop extension pg_net", "3F000"),
        ],
    )
    def test_pg_net_that_refuses_the_request(
        self, synced: Site, server_log: ServerLog, canary: str, by_hand: str, state: str
    ):
        store(synced, f"https://{canary}.example.com", canary)
        add_due(synced)
        synced.by_hand(by_hand)

        assert self.failure(synced, server_log, canary) == f"pg_net refused the request (SQLSTATE {state})"

    def test_a_port_that_only_pg_net_knows_to_be_none(self, bare: Site, server_log: ServerLog, canary: str):
        store(bare, f"https://{canary}.example.com:99999", "key")
        add_due(bare)

        assert self.failure(bare, server_log, canary) == "pg_net refused the request (SQLSTATE XX000)"

    @pytest.mark.parametrize(
        ("limit", "said"),
        [
            ("lock_timeout", "[bubble_sync_processor] pg_net refused the request (SQLSTATE 55P03)"),
            ("statement_timeout", "canceling statement due to statement timeout"),
        ],
    )
    def test_a_queue_that_another_session_locks(
        self, synced: Site, server_log: ServerLog, canary: str, limit: str, said: str
    ):
        store(synced, f"https://{canary}.example.com", canary)
        add_due(synced)

        with psycopg.connect(synced.addresses.admin_url) as other:
            other.execute("lock table net.http_request_queue")
            ran = run(synced, PROCESSOR, f"set {limit} = '100ms'")

        assert ran.error == said
        assert canary not in ran.everything + server_log.appended


@contextmanager
def unlogged(site: Site) -> Iterator[psycopg.Connection]:
    """Give a superuser's connection whose own statements the server does not log."""
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        conn.execute("set log_statement = 'none'")
        yield conn


def test_pg_net_itself_would_tell_the_key(synced: Site, canary: str):
    store(synced, key=canary)
    synced.by_hand("alter table net.http_request_queue add constraint none check (method = 'GET')")
    post = "select net.http_post('https://example.com', headers := jsonb_build_object('apikey', (%s)))"
    key = "select decrypted_secret from vault.decrypted_secrets where name = 'service_role_key'"

    ran = run(synced, post % key)

    assert canary in ran.everything


def test_another_secret_that_cannot_be_decrypted_is_no_hindrance(synced: Site):
    synced.by_hand("insert into vault.secrets (name, secret) values ('foreign', 'AAAA')")
    add_item(synced)

    assert len(run(synced, PROCESSOR).queued) == 1


ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ANY_TEXT, after=ANY_TEXT, in_url=st.booleans())
@example(before="https://", after=".example.com", in_url=True)
@example(before="", after="", in_url=False)
@example(before="sb_secret_", after="", in_url=False)
@example(before="%", after="% %I '$1' {0}", in_url=False)
def test_no_error_holds_a_secret_whatever_it_is(
    bare: Site, server_log: ServerLog, before: str, after: str, in_url: bool
):
    canary = f"canary{secrets.token_hex(12)}"
    secret = f"{before}{canary}{after}"
    store(bare, *((secret, "key") if in_url else (ELSEWHERE, secret)))
    bare.by_hand(
        "truncate public.sync_queue",
        # What passes our rules is refused by pg_net, whose own message would hold the whole row.
        "alter table net.http_request_queue drop constraint if exists none",
        "alter table net.http_request_queue add constraint none check (method = 'GET')",
    )
    add_due(bare)

    for call in (PROCESSOR, RETRY):
        ran = run(bare, call)
        assert ran.error is not None
        assert canary not in ran.everything
    assert canary not in server_log.appended


SEARCH_PATHS = {
    "empty": ["set search_path = ''"],
    "without the public schema": ["set search_path = pg_catalog"],
    "the hosted one": ['set search_path = "$user", public, extensions'],
    "one with a queue of its own": [
        "create schema mine",
        "create table mine.sync_queue (status text, operation text)",
        "create function mine.count(bigint) returns bigint language sql as 'select 0'",
        "create function mine.starts_with(text, text) returns boolean language sql as 'select true'",
        "create function mine.never(text, text) returns boolean language sql as 'select false'",
        "create operator mine.= (leftarg = text, rightarg = text, function = mine.never)",
        "set search_path = mine, pg_catalog, public",
    ],
    "a temporary queue": [
        "create temporary table sync_queue (status text, operation text)",
        "set search_path = pg_temp, pg_catalog, public",
    ],
}


@pytest.mark.parametrize("call", [PROCESSOR, RETRY], ids=["processor", "retry"])
@pytest.mark.parametrize("path", SEARCH_PATHS.values(), ids=list(SEARCH_PATHS))
def test_a_hand_in_the_sql_editor_may_have_any_search_path(synced: Site, call: str, path: list[str]):
    add_due(synced)

    ran = run(synced, call.replace("invoke", "public.invoke"), *path)

    assert ran.told[0] == f"NOTICE {FOUND[call]}"
    assert [request["headers"].keys() for request in ran.queued] == [{"Content-Type", "Authorization"}]


def test_the_bare_call_of_the_guide_works_in_the_sql_editor(synced: Site):
    add_due(synced)

    assert run(synced, f"{PROCESSOR};").error is None
    assert run(synced, f"{RETRY};").error is None


class TestWhoMayCall:
    """The owner alone, from the first moment on."""

    ROLES = ("anon", "authenticated", "service_role", "fresh")

    @pytest.fixture
    def with_fresh(self, synced: Site) -> Site:
        synced.by_hand(
            "create role fresh login",
            "grant anon, authenticated, service_role to fresh",
            f"grant usage on schema bubble_sync, vault to {', '.join(self.ROLES)}",
        )
        add_due(synced)
        return synced

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("signature", CALLS)
    def test_another_role_is_refused(self, with_fresh: Site, signature: str, role: str):
        (held,) = with_fresh.by_hand(f"select has_function_privilege('{role}', '{signature}', 'execute') as it")
        with psycopg.connect(with_fresh.addresses.socket_url("fresh")) as conn:
            conn.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function"):
                conn.execute(CALLS[signature])

        assert held == {"it": False}

    @pytest.mark.parametrize("signature", CALLS)
    def test_a_grant_to_everyone_is_taken_back_by_the_next_up(self, with_fresh: Site, signature: str):
        with_fresh.by_hand(
            f"grant execute on function {signature} to public",
            f"grant execute on function {signature} to anon, fresh with grant option",
        )
        install(with_fresh)

        held = with_fresh.by_hand(
            "select rolname from pg_roles where not rolsuper and not pg_has_role(oid, 'postgres', 'usage') "
            f"and has_function_privilege(oid, '{signature}', 'execute')"
        )

        assert held == []

    @pytest.mark.matrix
    def test_not_even_between_making_and_dropping_it(self, prepared: Site):
        *_, processor, _ = stack_functions()

        with anon_calling(prepared) as caller:
            for _ in range(200):
                prepared.converge(processor)
                assert "42501" in caller.answers_from_now()
                prepared.by_hand("alter function public.invoke_bubble_sync_processor() security definer")
                prepared.converge(processor)
                assert prepared.remove(processor) is None

        assert set(caller.answers) <= {"42501", "42883"}

    def test_but_one_that_is_made_without_revoking_is_called(self, prepared: Site):
        made = "create function public.invoke_bubble_sync_processor() returns void language plpgsql as $$begin end$$"

        with anon_calling(prepared) as caller, psycopg.connect(prepared.addresses.database_url) as conn:
            conn.execute(made)
            conn.commit()
            assert "called" in caller.answers_from_now()


class Caller:
    """Calls the processor again and again, and keeps the answers."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.answers: list[str] = []
        self._conn = conn
        self._fresh: queue.Queue[str] = queue.Queue()
        self._ended = threading.Event()

    def call_until_ended(self) -> None:
        while not self._ended.is_set():
            try:
                self._conn.execute(PROCESSOR)
                answer = "called"
            except psycopg.Error as error:
                answer = error.sqlstate or "lost"
            self.answers.append(answer)
            self._fresh.put(answer)

    def answers_from_now(self) -> list[str]:
        """Wait for two answers: the second call was begun after this question."""
        while not self._fresh.empty():
            self._fresh.get()
        return [self._fresh.get(timeout=20) for _ in range(2)]

    def end(self) -> None:
        self._ended.set()


@contextmanager
def anon_calling(site: Site) -> Iterator[Caller]:
    """Have anon call the processor from a thread of its own, as fast as it can."""
    with psycopg.connect(site.addresses.socket_url("authenticator"), autocommit=True) as conn:
        conn.execute("set role anon")
        caller = Caller(conn)
        thread = threading.Thread(target=caller.call_until_ended)
        thread.start()
        try:
            yield caller
        finally:
            caller.end()
            thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com", "https://example.com/", "https://example.com:8443", "https://[::1]:1", "http://[::1]",
        "http://localhost:54321", "http://127.0.0.1:1/", "http://127.1.2.3",
        "HTTPS://example.com", "https://example.com:", "https://@example.com", "http://LOCALHOST:3", "http://example.com",
        "https://example.com//", "https://exa_mple.com", "https://example.com\n", " https://example.com", "https://",
        "https://[::2]", "http://127.0.0.1.example.com", "https://example.com:123456", "https://b\u00fccher.example",
    ],
)  # fmt: skip
def test_what_the_configuration_accepts_is_what_the_function_sends_to(synced: Site, url: str):
    try:
        accepted = bool(check_url(url))
    except ValueError:
        accepted = False
    store(synced, url=url, key="sb_secret_x")
    add_item(synced)

    sent = run(synced, PROCESSOR)

    assert (sent.error is None) is accepted, sent.error
