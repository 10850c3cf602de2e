"""A key tried on the database's own way to the endpoint, and what the database says of the one that is stored."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.keys import HARMLESS_ACTION, read_key
from bubble_sync.config.settings import StackSettings, read_settings
from bubble_sync.database.database import Connection, Database
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing, ServerRefused
from bubble_sync.key import probe as key_probe
from bubble_sync.key.probe import Probe, probe, wrong_key
from bubble_sync.key.status import key_in_database
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.cluster import free_port
from tests.fixtures.platform import edge_requests
from tests.fixtures.recorder import Recorder
from tests.fixtures.server_log import ServerLog
from tests.fixtures.serving import serving
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import REF, config, jwt, secret_spec

T = TypeVar("T")

KINDS = ("legacy JWT", "secret key")
SECRET_KEY = "sb_secret_canary_of_this_test_alone"
QUEUE = "select id, url, headers from net.http_request_queue order by id"
GATEWAY = '{"code": 401, "message": "Invalid JWT"}'

pytestmark = pytest.mark.modes

each_kind = pytest.mark.parametrize("kind", KINDS)


def settings(key: str, url: str, timeout_ms: int = 5000) -> StackSettings:
    """Make the settings of a stack with this key and project URL."""
    numbers = json.dumps({"timeoutMs": timeout_ms})
    return read_settings(config(projectRef=None, supabaseUrl=url, serviceRoleKey=key, processor=numbers))


def right_key(site: Site, kind: str) -> str:
    """Give the platform's own key of a kind."""
    return site.addresses.service_role_key if kind == "legacy JWT" else site.addresses.secret_key


def tried(site: Site, key: str, action: str = HARMLESS_ACTION, url: str | None = None, timeout_ms: int = 5000) -> Probe:
    """Try a key, at the platform's Edge Function unless another URL is given."""
    return probe(site.db, settings(key, url or site.addresses.endpoint_url, timeout_ms), key, action)


@dataclass(frozen=True)
class Said:
    """What an endpoint answers."""

    status: int
    content: str = ""
    held: bool = False
    """Whether it waits for the end of the test first."""


class Endpoint(ThreadingHTTPServer):
    """Answers one thing to the right key and another to every other, and keeps what came."""

    daemon_threads = True

    def __init__(self, key: str, to_right: Said, to_wrong: Said) -> None:
        self.key, self.to_right, self.to_wrong = key, to_right, to_wrong
        self.released, self.arrived = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        offered = {self.headers.get("apikey"), (self.headers.get("Authorization") or "").removeprefix("Bearer ")}
        said = self.server.to_right if self.server.key in offered else self.server.to_wrong
        self.server.arrived.set()
        if said.held:
            self.server.released.wait(20)
            self.close_connection = True
            return
        self.send_response(said.status)
        self.send_header("Content-Length", str(len(said.content)))
        self.end_headers()
        self.wfile.write(said.content.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def endpoint(key: str, to_right: Said, to_wrong: Said) -> Iterator[Endpoint]:
    """Listen as long as the block lasts."""
    with serving(Endpoint(key, to_right, to_wrong)) as server:
        try:
            yield server
        finally:
            server.released.set()


END_THE_WORKER = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'pg_net emulator'"
)


@contextmanager
def worker_stopped(site: Site, platform: Platform) -> Iterator[None]:
    """Let pg_net's worker be down as long as the block lasts."""
    platform.net_worker.stop()
    try:
        # The server notices the end of a session a moment later.
        site.by_hand(END_THE_WORKER)
        yield
    finally:
        platform.net_worker.start()


@contextmanager
def nothing_is_sent(site: Site, platform: Platform) -> Iterator[None]:
    """Let pg_net be one that cannot say that its worker is down, as it is."""
    site.by_hand(
        "alter extension pg_net drop function net.check_worker_is_up()", "drop function net.check_worker_is_up()"
    )
    with worker_stopped(site, platform):
        yield


@pytest.fixture
def prepared(prepared: Site) -> Site:
    """A project whose pg_net runs again, whatever the test before has done to it."""
    prepared.by_hand("select net.wait_until_running()")
    return prepared


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no other requests of the same batch."""
    monkeypatch.setattr(key_probe, "WAIT_BEYOND_TIMEOUT_SECONDS", 0.5)


class TestAKeyIsProven:
    """It works, and a wrong one does not."""

    @each_kind
    def test_when_the_function_checks_it(self, prepared: Site, platform: Platform, kind: str):
        found = tried(prepared, right_key(prepared, kind))

        assert (found.proven, found.unchecked) == (True, False)
        assert str(found.key) == "accepted (HTTP 200): the key works"
        assert str(found.wrong_key).startswith("refused (HTTP 401): the function itself refuses the key")
        assert sorted(str(one["key"]) for one in edge_requests(platform)) == ["accepted", "rejected"]

    @each_kind
    def test_when_it_is_another_one_than_the_stack_has(self, prepared: Site, platform: Platform, kind: str):
        key = {"legacy JWT": jwt(ref=None), "secret key": SECRET_KEY}[kind]
        platform.behave(Behaviour(keys=(key,)))

        other = probe(prepared.db, settings("sb_secret_the_stacks_own", prepared.addresses.endpoint_url), key)

        assert other.proven

    def test_when_the_gateway_checks_it(self, prepared: Site, platform: Platform):
        platform.behave(Behaviour(verify_jwt=True, checks_key=False))

        found = tried(prepared, prepared.addresses.service_role_key)

        assert found.proven
        assert found.wrong_key.cause.startswith("the gateway does not take this JWT")

    def test_when_the_function_does_not_know_the_action(self, prepared: Site, platform: Platform):
        found = tried(prepared, prepared.addresses.secret_key, action="no such action")

        assert found.proven
        assert found.key.answered == "HTTP 400"
        assert {one["status"] for one in edge_requests(platform)} == {400, 401}

    def test_when_the_function_answers_it_with_nothing(self, prepared: Site):
        with endpoint(SECRET_KEY, Said(204), Said(401)) as server:
            assert tried(prepared, SECRET_KEY, url=server.url).proven

    def test_again_and_again(self, prepared: Site):
        assert all(tried(prepared, prepared.addresses.secret_key).proven for _ in range(3))

    def test_when_two_are_tried_at_once(self, prepared: Site):
        found: dict[str, Probe] = {}

        def one(kind: str) -> None:
            found[kind] = tried(prepared, right_key(prepared, kind))
            prepared.db.close()

        threads = [threading.Thread(target=one, args=(kind,)) for kind in KINDS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [found[kind].proven for kind in KINDS] == [True, True]


class TestAKeyIsNotProven:
    """Refused, or nobody knows."""

    @pytest.mark.parametrize(
        ("key", "header"), [(jwt(ref=None), "Authorization"), (SECRET_KEY, "apikey"), ("opaque", "Authorization")]
    )
    def test_when_the_function_refuses_it(self, prepared: Site, key: str, header: str):
        found = tried(prepared, key)

        assert (found.key.accepted, found.wrong_key.accepted, found.proven, found.unchecked) == (False,) * 4
        assert f"the function itself refuses the key, which it gets as {header}" in found.conclusion

    def test_when_the_gateway_wants_a_jwt(self, prepared: Site, platform: Platform):
        platform.behave(Behaviour(verify_jwt=True))

        found = tried(prepared, prepared.addresses.secret_key)

        assert (found.key.accepted, found.proven) == (False, False)
        assert "the gateway demands a JWT (verify_jwt = true), and a secret key is not a JWT" in found.conclusion

    @pytest.mark.parametrize(
        ("verify_jwt", "cause"),
        [(True, "legacy keys are off"), (False, "the function itself refuses the key, which it gets as Authorization")],
    )
    def test_when_legacy_keys_are_off(self, prepared: Site, platform: Platform, verify_jwt: bool, cause: str):
        platform.behave(Behaviour(verify_jwt=verify_jwt, legacy_disabled=True))

        found = tried(prepared, prepared.addresses.service_role_key)

        assert found.key.accepted is False
        assert cause in found.conclusion

    @each_kind
    def test_when_it_is_revoked(self, prepared: Site, platform: Platform, kind: str):
        platform.behave(Behaviour(own_keys=False))

        assert tried(prepared, right_key(prepared, kind)).key.accepted is False

    @each_kind
    def test_when_the_endpoint_checks_no_key(self, prepared: Site, platform: Platform, kind: str):
        platform.behave(Behaviour(checks_key=False))

        found = tried(prepared, right_key(prepared, kind))

        assert (found.proven, found.unchecked) == (False, True)
        assert found.conclusion.startswith("nothing is proven: a wrong key is accepted too")

    def test_when_the_endpoint_looks_at_the_body_first(self, prepared: Site):
        with endpoint(SECRET_KEY, Said(400), Said(400)) as server:
            assert tried(prepared, SECRET_KEY, url=server.url).unchecked

    @pytest.mark.parametrize(
        ("said", "accepted", "conclusion"),
        [
            (Said(401, GATEWAY), False, "the gateway demands a JWT"),
            (Said(401, "["), False, "the function itself refuses the key"),
            (Said(403), False, "the endpoint knows the key"),
            (Said(404, '{"code": "NOT_FOUND", "message": "no"}'), None, "no function bubble_sync is deployed"),
            (Said(429), None, "too many requests"),
            (Said(503), None, "the function does not start"),
            (Said(546), None, "at its limit of time or memory"),
        ],
        ids=lambda value: str(value.status) if isinstance(value, Said) else None,
    )
    def test_when_the_endpoint_says_so(self, prepared: Site, said: Said, accepted: bool | None, conclusion: str):
        with endpoint(SECRET_KEY, said, said) as server:
            found = tried(prepared, SECRET_KEY, url=server.url)

        assert (found.key.accepted, found.proven, found.unchecked) == (accepted, False, False)
        assert conclusion in found.conclusion

    def test_when_the_function_fails(self, prepared: Site, platform: Platform):
        platform.behave(Behaviour(status=500))

        found = tried(prepared, prepared.addresses.secret_key)

        assert (found.key.accepted, found.wrong_key.accepted) == (None, False)
        assert "unknown (HTTP 500): the function failed" in found.conclusion

    def test_when_the_wrong_one_gets_no_answer_of_meaning(self, prepared: Site):
        with endpoint(SECRET_KEY, Said(200), Said(500)) as server:
            found = tried(prepared, SECRET_KEY, url=server.url)

        assert (found.proven, found.unchecked) == (False, False)
        assert found.conclusion.startswith("not proven: the key was accepted, but what became of a wrong one")

    def test_when_the_function_works_for_longer_than_the_timeout(self, prepared: Site):
        with endpoint(SECRET_KEY, Said(200, held=True), Said(401)) as server:
            found = tried(prepared, SECRET_KEY, url=server.url, timeout_ms=300)

        assert (found.key.answered, found.key.accepted, found.wrong_key.accepted) == ("timeout", None, False)
        assert "longer than 300 ms" in found.conclusion

    def test_when_the_platforms_function_hangs(self, prepared: Site, platform: Platform):
        platform.behave(Behaviour(hang_seconds=0.6))

        found = tried(prepared, prepared.addresses.secret_key, timeout_ms=200)

        assert found.key.answered == "timeout"
        # It goes on when nobody waits any more: not into the next test.
        platform.edge_function.stop()
        platform.edge_function.start()

    def test_when_nothing_listens(self, prepared: Site):
        found = tried(prepared, SECRET_KEY, url=f"http://127.0.0.1:{free_port()}")

        assert [one.answered for one in (found.key, found.wrong_key)] == ["no answer", "no answer"]
        assert "the endpoint does not answer (Couldn't connect to server)" in found.conclusion


class TestTheRequests:
    """One with the key and one with a wrong key, each as the jobs send theirs."""

    @pytest.mark.parametrize("key", [jwt(ref=REF), "opaque-key", SECRET_KEY])
    def test_go_where_the_jobs_send_theirs_with_a_wrong_key_of_the_same_kind(
        self, prepared: Site, recorder: Recorder, key: str
    ):
        tried(prepared, key, url=recorder.url)

        sent = {}
        for request in (recorder.next_request(), recorder.next_request()):
            head, body = request.decode().split("\r\n\r\n")
            line, *lines = head.split("\r\n")
            headers = dict(one.split(": ", 1) for one in lines)
            assert line == "POST /functions/v1/bubble_sync HTTP/1.1"
            assert json.loads(body) == {"action": "get_status", "payload": {}}
            assert headers["Content-Type"] == "application/json"
            (name,) = headers.keys() & {"Authorization", "apikey"}
            offered = headers[name].removeprefix("Bearer ")
            assert (name, read_key(offered).kind) == (read_key(key).header, read_key(key).kind)
            assert headers[name] == (offered if name == "apikey" else f"Bearer {offered}")
            sent[offered] = read_key(offered).project_ref
        assert len(sent) == 2
        assert sent.pop(key) in sent.values()

    def test_drain_nothing(self, prepared: Site, platform: Platform):
        platform.sign_up("waits@example.com")

        tried(prepared, prepared.addresses.secret_key)

        assert prepared.by_hand("select status from public.sync_queue") == [{"status": "pending"}]

    def test_drain_when_they_are_told_to(self, prepared: Site, platform: Platform):
        platform.sign_up("waits@example.com")

        assert tried(prepared, prepared.addresses.secret_key, action="process_queue_data_api").proven

        assert prepared.by_hand("select status from public.sync_queue") == [{"status": "completed"}]

    @pytest.mark.parametrize("action", ["", "it's $probe$ \\N \t\n %s", "žluťoučký", "a" * 10_000])
    def test_take_any_action(self, prepared: Site, recorder: Recorder, action: str):
        tried(prepared, SECRET_KEY, url=recorder.url, action=action)

        assert json.loads(recorder.next_request().decode().split("\r\n\r\n")[1])["action"] == action

    def test_leave_vault_and_the_queue_of_items_alone(self, prepared: Site, platform: Platform):
        platform.sign_up("waits@example.com")
        prepared.converge(secret_spec(name="service_role_key", value="sb_secret_stored"))
        rows = (
            "select 'vault' as t, xmin::text, ctid::text, s::text as row from vault.secrets as s union all "
            "select 'queue', xmin::text, ctid::text, q::text from public.sync_queue as q"
        )
        before = prepared.by_hand(rows)

        tried(prepared, prepared.addresses.secret_key)

        assert len(before) == 2
        assert prepared.by_hand(rows) == before

    @pytest.mark.parametrize("key", [jwt(), jwt(ref=None, role=None), "sb_secret_abc", "opaque"])
    def test_have_another_wrong_key_each_time(self, key: str):
        made = [wrong_key(key) for _ in range(3)]

        assert len({key, *made}) == 4
        assert {read_key(one).kind for one in made} == {read_key(key).kind}
        assert {read_key(one).project_ref for one in made} == {read_key(key).project_ref}


class TestNothingIsLeftBehind:
    """A key that nobody takes away would stay in pg_net's queue."""

    def test_after_answers(self, prepared: Site):
        tried(prepared, prepared.addresses.secret_key)

        assert prepared.by_hand(QUEUE) == []

    @pytest.mark.usefixtures("impatient")
    def test_when_nobody_answers(self, prepared: Site, platform: Platform):
        with nothing_is_sent(prepared, platform):
            found = tried(prepared, prepared.addresses.secret_key, timeout_ms=100)

            assert prepared.by_hand(QUEUE) == []
        assert [one.answered for one in (found.key, found.wrong_key)] == ["no answer", "no answer"]
        assert "pg_net did not send the request" in found.conclusion
        assert edge_requests(platform) == []

    @pytest.mark.usefixtures("impatient")
    def test_but_what_others_have_queued(self, prepared: Site, platform: Platform):
        with nothing_is_sent(prepared, platform):
            prepared.by_hand(f"select net.http_post('{prepared.addresses.endpoint_url}/elsewhere')")
            tried(prepared, prepared.addresses.secret_key, timeout_ms=100)

            assert len(prepared.by_hand(QUEUE)) == 1

    def test_when_a_person_does_not_want_to_wait(self, prepared: Site, platform: Platform):
        class Interrupted(Database):
            def read(self, doing: str, work: object) -> T:
                if doing == "reading pg_net's answers":
                    raise KeyboardInterrupt
                return super().read(doing, work)

        hasty = Site(prepared.addresses, Interrupted(read_database_url(prepared.addresses.database_url)))
        with closing(hasty.db), nothing_is_sent(prepared, platform):
            with pytest.raises(KeyboardInterrupt):
                tried(hasty, prepared.addresses.secret_key)

            assert prepared.by_hand(QUEUE) == []

    def test_except_what_is_under_way_which_is_not_waited_for(self, prepared: Site, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(key_probe, "WAIT_BEYOND_TIMEOUT_SECONDS", -19)
        with endpoint(SECRET_KEY, Said(200, held=True), Said(200, held=True)) as server:
            found = tried(prepared, SECRET_KEY, url=server.url, timeout_ms=20_000)

            assert server.arrived.is_set()
            assert len(prepared.by_hand(QUEUE)) == 2
        assert found.key.accepted is None
        assert "or still waits for its answer" in found.conclusion
        # The worker takes them with it when it has its answers.
        prepared.by_hand(*(f"select net._http_collect_response({row}, async := false)" for row in (1, 2)))
        assert prepared.by_hand(QUEUE) == []


class TestPgNetIsNotThere:
    """Said at once, and no key is handed to it."""

    def test_when_it_is_not_installed(self, site: Site):
        with pytest.raises(PrerequisiteMissing, match="pg_net is not installed in this database: run `pulumi up`"):
            tried(site, SECRET_KEY)

    def test_when_its_worker_does_not_run(self, prepared: Site, platform: Platform):
        with worker_stopped(prepared, platform):
            with pytest.raises(PrerequisiteMissing, match=r"does not run.*select net\.worker_restart\(\);"):
                tried(prepared, SECRET_KEY)

            assert prepared.by_hand(QUEUE) == []
            assert prepared.by_hand("select is_called from net.http_request_queue_id_seq") == [{"is_called": False}]

    def test_but_a_worker_that_is_about_to_start_again_is_awaited(self, prepared: Site):
        prepared.by_hand(END_THE_WORKER)

        assert tried(prepared, prepared.addresses.secret_key).proven

    def test_but_one_that_cannot_say_whether_its_worker_runs_is_tried(self, prepared: Site):
        prepared.by_hand(
            "alter extension pg_net drop function net.check_worker_is_up()", "drop function net.check_worker_is_up()"
        )

        assert tried(prepared, prepared.addresses.secret_key).proven


class TestTheKeyIsShownNowhere:
    """The server logs every statement with its parameters."""

    @each_kind
    def test_in_the_servers_log(self, prepared: Site, server_log: ServerLog, kind: str):
        key = right_key(prepared, kind)
        tried(prepared, key)

        assert "copy pg_temp.bubble_sync_probe" in server_log.appended
        assert "net.http_post" in server_log.appended
        assert key not in server_log.appended

    @pytest.mark.parametrize("broken", ["a check", "a missing column", "a trigger"])
    def test_when_pg_net_refuses_it(self, prepared: Site, server_log: ServerLog, broken: str):
        prepared.by_hand(
            {
                "a check": "alter table net.http_request_queue add constraint refused check (id is null) not valid",
                "a missing column": "alter table net.http_request_queue rename column headers to others",
                "a trigger": "create function public.refuse() returns trigger language plpgsql as "
                "$$begin raise exception 'this is it: %', new using detail = new, hint = new; end$$; "
                "create trigger refuse before insert on net.http_request_queue "
                "for each row execute function public.refuse()",
            }[broken]
        )

        with pytest.raises(ServerRefused) as refused:
            tried(prepared, SECRET_KEY)

        assert str(refused.value).startswith("handing the key to pg_net: PostgreSQL refused it (SQLSTATE ")
        assert "ERROR:  pg_net refused the request" in server_log.appended
        assert SECRET_KEY not in server_log.appended + str(refused.value)
        assert prepared.by_hand("select id from net.http_request_queue") == []

    def test_when_the_action_cannot_be_encoded(self, prepared: Site, server_log: ServerLog):
        with pytest.raises(ConfigurationError, match="is no text") as refused:
            tried(prepared, SECRET_KEY, action="\udcff")

        assert SECRET_KEY not in server_log.appended + str(refused.value)

    def test_when_the_worker_is_down(self, prepared: Site, platform: Platform, server_log: ServerLog):
        with worker_stopped(prepared, platform), pytest.raises(PrerequisiteMissing) as missing:
            tried(prepared, SECRET_KEY)

        assert SECRET_KEY not in server_log.appended + str(missing.value)

    def test_in_what_is_found(self, prepared: Site):
        found = tried(prepared, prepared.addresses.secret_key)

        assert prepared.addresses.secret_key not in repr(found) + found.conclusion

    def test_in_the_write_ahead_log(self, prepared: Site, platform: Platform):
        tried(prepared, prepared.addresses.secret_key)
        prepared.by_hand("checkpoint")

        segments = list(Path(platform.folder / "data" / "pg_wal").glob("0*"))
        assert segments
        assert not any(prepared.addresses.secret_key.encode() in segment.read_bytes() for segment in segments)

    def test_in_a_table_of_the_session(self, prepared: Site):
        tried(prepared, prepared.addresses.secret_key)

        assert prepared.by_hand("select relname from pg_class where relname = 'bubble_sync_probe'") == []


def stored(site: Site, key: str = SECRET_KEY, **changes: str) -> StackSettings:
    """Make the settings of a stack, whose functions are there."""
    found = read_settings(config(projectRef=None, supabaseUrl="https://example.com", serviceRoleKey=key, **changes))
    for spec in stack_functions():
        site.converge(spec)
    return found


class TestWhatVaultHolds:
    """The stack's key, another one, or none: told by a digest."""

    def test_the_same_key(self, prepared: Site):
        prepared.converge(secret_spec(name="service_role_key", value=SECRET_KEY))

        assert key_in_database(prepared.db, stored(prepared)).stored == "equal"

    def test_another_key(self, prepared: Site):
        prepared.converge(secret_spec(name="service_role_key", value=f"{SECRET_KEY}x"))

        assert key_in_database(prepared.db, stored(prepared)).stored == "differs"

    def test_a_key_that_cannot_be_decrypted(self, prepared: Site):
        prepared.converge(secret_spec(name="service_role_key", value=SECRET_KEY))
        prepared.by_hand("update vault.secrets set secret = encode('not of this key, and long enough', 'base64')")

        assert key_in_database(prepared.db, stored(prepared)).stored == "unreadable"

    def test_a_key_under_another_name(self, prepared: Site):
        prepared.converge(secret_spec(name="bubble_sync_key", value=SECRET_KEY))

        assert key_in_database(prepared.db, stored(prepared)).stored == "absent"
        assert key_in_database(prepared.db, stored(prepared, serviceRoleKeyName="bubble_sync_key")).stored == "equal"

    def test_no_key(self, prepared: Site):
        assert key_in_database(prepared.db, stored(prepared)).stored == "absent"

    def test_no_vault_and_no_cron(self, site: Site):
        found = key_in_database(site.db, settings(SECRET_KEY, "https://example.com"))

        assert (found.stored, found.others) == ("absent", ())

    def test_is_asked_without_showing_the_key(self, prepared: Site, server_log: ServerLog):
        prepared.converge(secret_spec(name="service_role_key", value=SECRET_KEY))

        found = key_in_database(prepared.db, stored(prepared))

        assert SECRET_KEY not in server_log.appended + repr(found)


OTHERS = {
    "function public.webhook()": "create function public.webhook() returns text language sql as "
    "$$select decrypted_secret from vault.decrypted_secrets where name = 'service_role_key'$$",
    "function public.webhook(integer)": "create function public.webhook(integer) returns text language plpgsql as "
    "$$begin return 'SERVICE_ROLE_KEY'; end$$",
    "function public.invoke_bubble_sync_processor(integer)": "create function "
    "public.invoke_bubble_sync_processor(integer) returns text language sql as $$select 'service_role_key'$$",
    "view public.keys": "create view public.keys as select 'service_role_key' as name",
    "trigger hook on public.sync_queue": "create function public.hook() returns trigger language plpgsql as "
    "$$begin return new; end$$; create trigger hook after insert on public.sync_queue "
    "for each row execute function public.hook('service_role_key')",
    "job other": "select cron.schedule('other', '0 0 1 1 *', $$select 'service_role_key'$$)",
}


class TestWhoElseNamesTheKey:
    """Whatever is not the stack's own."""

    def others(self, site: Site, **changes: str) -> tuple[str, ...]:
        return key_in_database(site.db, stored(site, **changes)).others

    @pytest.mark.parametrize("statement", OTHERS.values(), ids=list(OTHERS))
    def test_is_listed_by_kind_and_name(self, prepared: Site, statement: str):
        with prepared.db.transaction("by hand") as conn:
            make(conn, statement)

        expected = next(name for name, text in OTHERS.items() if text == statement)
        assert self.others(prepared) == (expected,)

    def test_is_listed_all_at_once(self, prepared: Site):
        with prepared.db.transaction("by hand") as conn:
            for statement in OTHERS.values():
                make(conn, statement)

        assert set(self.others(prepared)) == set(OTHERS)

    def test_does_not_hold_our_own_functions(self, prepared: Site):
        assert self.others(prepared) == ()

    @pytest.mark.parametrize("name", ["key", "url", "authorization", "service role key", "k.*", "a'b", "(", "žluť"])
    def test_does_not_hold_our_own_functions_whatever_the_name(self, prepared: Site, name: str):
        assert self.others(prepared, serviceRoleKeyName=name) == ()

    @pytest.mark.parametrize("text", ["my_service_role_key", "service_role_key2", "service_role", "service-role-key"])
    def test_does_not_hold_what_names_another_secret(self, prepared: Site, text: str):
        prepared.by_hand(f"create view public.keys as select '{text}' as name")

        assert self.others(prepared) == ()

    def test_is_told_of_the_name_that_is_asked_for(self, prepared: Site):
        prepared.by_hand("create view public.keys as select 'bubble_sync_key' as name")

        assert self.others(prepared) == ()
        assert self.others(prepared, serviceRoleKeyName="bubble_sync_key") == ("view public.keys",)


def make(conn: Connection, statement: str) -> None:
    """Run statements without parameters, in which a per cent sign means itself."""
    conn.execute(statement.encode())
