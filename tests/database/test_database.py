"""The database boundary: how a connection fails, is replaced, and what becomes of the server's errors."""

from __future__ import annotations

import logging
import re
import secrets
import select
import socketserver
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from bubble_sync.config.database_url import database_address, read_database_url
from bubble_sync.database.connection import NamedConnection, connect
from bubble_sync.database.database import Connection, Database, fetch
from bubble_sync.errors import (
    Busy,
    ForeignObject,
    PrerequisiteMissing,
    PrivilegeMissing,
    ServerRefused,
    SyncError,
    Unreachable,
)
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.postgres.cluster import free_port
from bubble_sync.sql_loader import query
from tests.fixtures.server_log import ServerLog
from tests.fixtures.serving import serving
from tests.fixtures.site import Site

PASSWORD = "a-password-nobody-else-has"
OUR_LOCK = "select pg_advisory_xact_lock(hashtextextended('bubble-sync', 0))"


def refusal(url: str, ca: str | None = None) -> str:
    """Return in what words a connection is refused, and hold them to one line without what the URL holds."""
    with pytest.raises(Unreachable) as refused:
        connect(read_database_url(url, ca))
    shown = "".join(traceback.format_exception(refused.value))
    text = str(refused.value)
    assert "\n" not in text
    assert PASSWORD not in shown
    assert url not in shown
    return text


def pid_of(conn: Connection) -> int:
    return conn.info.backend_pid


def value(conn: Connection, statement: str) -> object:
    """Return the single value of a statement."""
    (row,) = conn.execute(statement).fetchall()
    (found,) = row.values()
    return found


def read_one(conn: Connection) -> object:
    return value(conn, "select 1")


def end_session(site: Site, pid: int) -> None:
    """End a session and wait until it is gone."""
    site.by_hand(f"select pg_terminate_backend({pid}, 5000)")


def change(db: Database, *steps: str | Callable[[Connection], object]) -> None:
    """Make one change of statements and other steps."""
    with db.transaction("changing") as conn:
        for step in steps:
            conn.execute(step) if isinstance(step, str) else step(conn)


class Stub(socketserver.ThreadingTCPServer):
    """What listens, but is no PostgreSQL: answers the first two messages of a client as told."""

    daemon_threads = True

    def __init__(self, to_tls: bytes, to_start: bytes) -> None:
        self.answers = (to_tls, to_start)
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def port(self) -> int:
        return self.server_address[1]


class _Answer(socketserver.StreamRequestHandler):
    server: Stub

    def handle(self) -> None:
        for answer in self.server.answers:
            if not answer or not (length := int.from_bytes(self.rfile.read(4), "big")):
                return
            self.rfile.read(length - 4)
            self.wfile.write(answer)


@contextmanager
def listening(to_tls: bytes, to_start: bytes = b"") -> Iterator[int]:
    """Listen on a port of loopback as long as the block lasts."""
    with serving(Stub(to_tls, to_start)) as server:
        yield server.port


def fatal(message: str) -> bytes:
    """Give the error of a server that refuses a session, as it comes over the wire."""
    body = f"SFATAL\0VFATAL\0CXX000\0M{message}\0\0".encode()
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


class TestConnecting:
    """One line that says why not, and what to do."""

    def test_nothing_listens(self):
        port = free_port()
        text = refusal(f"postgresql://somebody:{PASSWORD}@127.0.0.1:{port}/shop")

        assert text == (
            f"cannot connect to the database at 127.0.0.1, port {port}, database shop, user somebody: "
            "nothing listens there; check that the server runs, and the port."
        )

    def test_the_variable_that_holds_the_url_is_named(self):
        url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{free_port()}"
        address = database_address(None, "PROD_URL", None, {"PROD_URL": url})

        with pytest.raises(Unreachable, match="user postgres, URL from the environment variable PROD_URL: nothing"):
            connect(address)

    def test_a_url_in_the_configuration_may_be_the_one_of_the_last_up(self):
        address = read_database_url(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{free_port()}/postgres")

        with pytest.raises(Unreachable, match=r"the port\. If the URL has changed .*`pulumi up --run-program` once\.$"):
            connect(replace(address, configured=True))

    def test_a_wrong_password_is_tried_once(self, database: Addresses, server_log: ServerLog):
        text = refusal(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{database.database_port}/postgres")

        assert "the password is wrong; it was tried once" in text
        assert server_log.appended.count("password authentication failed") == 1

    def test_no_password(self, database: Addresses):
        text = refusal(f"postgresql://postgres@127.0.0.1:{database.database_port}/postgres")

        assert "the URL holds no password" in text

    def test_an_unknown_host(self):
        text = refusal(f"postgresql://postgres:{PASSWORD}@db.nowhere.invalid:5432/postgres")

        assert text.startswith("cannot connect to the database at db.nowhere.invalid, ")
        assert ": the host name does not resolve" in text

    def test_a_server_elsewhere_without_tls_never_gets_the_password(self, database: Addresses, server_log: ServerLog):
        host = f"db.example.invalid:{database.database_port}"
        text = refusal(f"postgresql://postgres:{PASSWORD}@{host}/postgres?hostaddr=127.0.0.1")

        assert "it does not offer TLS, and the password would travel in clear text" in text
        assert "password authentication failed" not in server_log.appended

    @pytest.mark.parametrize("ca", [None, "/nowhere/ca.crt"])
    def test_a_server_elsewhere_without_its_ca(self, ca: str | None, monkeypatch: pytest.MonkeyPatch):
        # libpq looks for a CA in the home directory when none is named.
        monkeypatch.setenv("PGSSLROOTCERT", "/nowhere/root.crt")
        with listening(b"S") as port:
            url = f"postgresql://postgres:{PASSWORD}@db.example.invalid:{port}/postgres?hostaddr=127.0.0.1"
            text = refusal(url, ca)

        assert "cannot be checked without a CA: pulumi config set bubble-sync:databaseCa" in text

    def test_an_address_from_the_environment_is_not_taken(self, database: Addresses, monkeypatch: pytest.MonkeyPatch):
        with listening(b"N") as port:
            monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")
            monkeypatch.setenv("PGPORT", str(port))
            with connect(read_database_url(database.database_url)) as conn:
                assert conn.info.hostaddr == "127.0.0.1"

    def test_a_database_that_is_not_there(self, database: Addresses):
        text = refusal(f"{database.database_url.rpartition('/')[0]}/nowhere")

        assert "it has no database or no role of that name" in text

    def test_a_socket_that_is_not_there(self):
        text = refusal(f"postgresql://postgres:{PASSWORD}@/postgres?host=/nowhere")

        assert text.startswith("cannot connect to the database at /nowhere, ")
        assert ": nothing listens there" in text

    @pytest.mark.parametrize(
        ("message", "cause"),
        [
            ("Tenant or user not found", "the pooler knows no such project or user"),
            ("(ENOTFOUND) tenant/user postgres.x not found", "the pooler knows no such project or user"),
            ("sorry, too many clients already", "it has no connection left"),
            ('too many connections for role "postgres"', "it has no connection left"),
            ("remaining connection slots are reserved for superusers", "it has no connection left"),
            ("Max client connections reached", "it has no connection left"),
            ("(EMAXCONNSESSION) max clients reached in session mode", "it has no connection left"),
            ("MaxClientsInSessionMode: max clients reached", "it has no connection left"),
            ("the database system is starting up", "it is starting or stopping"),
            ("the database system is shutting down", "it is starting or stopping"),
            ('no pg_hba.conf entry for host "1.2.3.4"', "it rejects connections from this address"),
            (f"something about {PASSWORD}", "the server closed the connection"),
        ],
    )
    def test_a_server_or_pooler_that_refuses_the_session(self, message: str, cause: str):
        with listening(fatal(message)) as port:
            text = refusal(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres")

        assert f", user postgres: {cause}" in text

    def test_what_listens_but_says_nothing(self):
        with listening(b"") as port:
            text = refusal(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres")

        assert "the server closed the connection" in text

    def test_reading_and_changing_say_the_same(self):
        url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{free_port()}/postgres"
        db = Database(read_database_url(url))

        with pytest.raises(Unreachable, match="nothing listens there"):
            db.read("reading", read_one)
        with pytest.raises(Unreachable, match="nothing listens there"), db.transaction("changing"):
            pass


class TestALostConnection:
    """Replaced where nothing was begun; said where something was."""

    def test_one_lost_while_idle_is_replaced_for_reading(self, site: Site):
        first = site.db.read("reading", pid_of)
        end_session(site, first)

        assert site.db.read("reading", read_one) == 1
        assert site.db.read("reading", pid_of) != first

    def test_one_lost_while_idle_is_replaced_for_a_change(self, site: Site):
        first = site.db.read("reading", pid_of)
        end_session(site, first)

        change(site.db, "create table public.kept ()")

        assert site.by_hand("select to_regclass('public.kept') is not null as it") == [{"it": True}]

    def test_one_lost_to_an_idle_timeout_is_replaced(self, site: Site):
        # Through the socket: over TCP, the last message of the server can be lost with the connection.
        with closing(Database(read_database_url(site.addresses.socket_url("postgres")))) as db:
            with db.operation("setting") as conn:
                conn.execute("set idle_session_timeout = '20ms'")
                first = pid_of(conn)
            site.by_hand(f"do $$ begin while exists (select from pg_stat_activity where pid = {first}) loop "
                         "perform pg_sleep(0.02), pg_stat_clear_snapshot(); end loop; end $$")  # fmt: skip

            assert db.read("reading", pid_of) != first

    def test_one_lost_in_a_change_keeps_nothing_and_the_next_change_works(self, site: Site):
        def losing(conn: Connection) -> None:
            conn.execute("create table public.half ()")
            end_session(site, pid_of(conn))
            conn.execute("create table public.other_half ()")

        with pytest.raises(Unreachable, match=r"changing: the connection to the database was lost\."):
            change(site.db, losing)

        assert site.by_hand("select to_regclass('public.half') as it") == [{"it": None}]
        change(site.db, read_one)

    def test_one_lost_before_the_commit_keeps_nothing(self, site: Site):
        def losing(conn: Connection) -> None:
            conn.execute("create table public.half ()")
            end_session(site, pid_of(conn))

        with pytest.raises(Unreachable):
            change(site.db, losing)

        assert site.by_hand("select to_regclass('public.half') as it") == [{"it": None}]

    def test_a_change_that_is_lost_is_not_done_twice(self, site: Site):
        site.db.read("reading", read_one)
        begun = []

        def losing(conn: Connection) -> None:
            begun.append(pid_of(conn))
            conn.execute("select pg_terminate_backend(pg_backend_pid())")

        with pytest.raises(Unreachable):
            change(site.db, losing)

        assert len(begun) == 1

    @pytest.mark.parametrize("before", [0, 1])
    def test_a_reading_that_is_lost_midway_is_said(self, site: Site, before: int):
        tried = []

        def lost(conn: Connection) -> None:
            tried.append(pid_of(conn))
            conn.execute("select pg_terminate_backend(pg_backend_pid())")

        for _ in range(before):
            site.db.read("reading", read_one)
        with pytest.raises(Unreachable, match="reading: the connection to the database was lost"):
            site.db.read("reading", lost)

        assert len(tried) == 1

    def test_a_closed_one_is_made_again(self, site: Site):
        first = site.db.read("reading", pid_of)
        site.db.close()

        assert site.db.read("reading", pid_of) != first


class TestTheServersErrors:
    """Sorted by what the operator must do, without the server's own text."""

    def test_a_change_of_another_session_is_waited_for_only_so_long(self, site: Site):
        with psycopg.connect(site.addresses.admin_url) as other:
            other.execute(OUR_LOCK)
            with pytest.raises(Busy, match=r"changing: the lock on changes of bubble-sync is held by pid \d+ "):
                change(site.db, read_one)

        change(site.db, read_one)

    @pytest.mark.parametrize("how", ["read", "change", "operation"])
    def test_after_a_lock_timeout_the_next_transactions_wait_for_no_lock(self, site: Site, how: str):
        with psycopg.connect(site.addresses.admin_url) as other:
            other.execute("lock table public.sync_queue")
            with pytest.raises(Busy):
                change(site.db, "set local lock_timeout = '20ms'", "table public.sync_queue")
            timeouts = "select current_setting('lock_timeout')"
            if how == "operation":
                with site.db.operation("reading") as conn:
                    found = value(conn, timeouts)
            else:
                found = getattr(site.db, how)("reading", lambda conn: value(conn, timeouts))

        assert found == "1ms"

    @pytest.mark.parametrize(
        ("theirs", "locked"),
        [
            ("drop function public.tick()", r"function public\.tick\(\)"),
            ("comment on function public.tick() is 'b'", r"function public\.tick\(\)"),
            ("grant execute on function public.tick() to anon", r"pg_catalog\.pg_proc"),
            (
                "create or replace function public.tick() returns void language sql as 'select'",
                # PostgreSQL 15 locks no more than the row of the catalog.
                r"(function public\.tick\(\)|pg_catalog\.pg_proc)",
            ),
        ],
    )
    def test_a_function_that_another_session_changes(self, site: Site, theirs: str, locked: str):
        made = "function public.tick() returns void language sql as ''"
        site.by_hand(f"create {made}", "alter function public.tick() owner to postgres")
        ours = "comment on function public.tick() is 'a'" if "comment" in theirs else f"create or replace {made}"
        with psycopg.connect(site.addresses.admin_url) as other:
            other.execute(theirs.encode())
            with pytest.raises(Busy, match=rf"the lock on {locked} is held by pid {pid_of(other)} "):
                change(site.db, "set local lock_timeout = '20ms'", ours)

    def test_a_locked_table(self, site: Site):
        with psycopg.connect(site.addresses.admin_url, application_name="by hand") as other:
            other.execute("lock table public.sync_queue")
            other.execute("select 'CANARY'")
            pid = other.info.backend_pid
            with pytest.raises(Busy) as refused:
                change(site.db, "set local lock_timeout = '20ms'", "table public.sync_queue")

        assert re.fullmatch(
            rf"changing: the lock on public.sync_queue is held by pid {pid} \(application by hand, "
            r"role supabase_admin, in a transaction since [\d-]{10} [\d:]{8} UTC, last command SELECT\)\. Wait for it, "
            rf"or end it: select pg_terminate_backend\({pid}\)\.",
            str(refused.value),
        )

    def test_a_statement_that_takes_too_long(self, site: Site):
        with pytest.raises(Busy, match="changing: a statement took longer than 30 s"):
            change(site.db, "set local statement_timeout = '20ms'", "select pg_sleep(10)")

    def test_a_statement_that_somebody_cancels(self, site: Site):
        def cancelled(conn: Connection) -> None:
            asleep = f"select pg_cancel_backend(pid) from pg_stat_activity where pid = {pid_of(conn)}"
            threading.Timer(0.3, lambda: site.by_hand(asleep)).start()
            conn.execute("select pg_sleep(10)")

        with pytest.raises(Busy, match="changing: another session cancelled it"):
            change(site.db, cancelled)

    def test_a_roles_own_limits_are_not_ours(self, site: Site):
        site.by_hand(*(f"alter role postgres set {name} = '50ms'" for name in ("statement_timeout", "lock_timeout")))

        with psycopg.connect(site.addresses.admin_url) as other:
            other.execute(OUR_LOCK)
            release = threading.Timer(0.3, other.rollback)
            release.start()
            change(site.db, "select pg_sleep(0.2)")
            release.join()

    def test_a_row_that_another_session_has_changed(self, site: Site):
        site.by_hand("create table public.counter as select 1 as n", "alter table public.counter owner to postgres")
        with psycopg.connect(site.addresses.admin_url) as other:
            other.execute("update public.counter set n = 2")
            with pytest.raises(Busy, match=rf"changing: the lock on public.counter is held by pid {pid_of(other)} "):
                change(site.db, "set local lock_timeout = '20ms'", "update public.counter set n = 3")

    def test_a_session_of_which_the_role_may_see_little(self, site: Site):
        poor = site.as_role("poor", "grant select on public.sync_queue to poor")
        with psycopg.connect(site.addresses.admin_url) as other, closing(poor.db):
            other.execute("lock table public.sync_queue")
            with pytest.raises(Busy, match=r"\(role supabase_admin, details need pg_read_all_stats\)"):
                change(poor.db, "set local lock_timeout = '20ms'", "table public.sync_queue")

    def test_a_read_only_server(self, site: Site):
        site.by_hand("alter role postgres set default_transaction_read_only = on")

        with pytest.raises(PrerequisiteMissing, match="changing: the server is read-only"):
            change(site.db, "create table public.made ()")

    def test_a_missing_privilege_names_the_object(self, site: Site):
        poor = site.as_role("poor")

        with closing(poor.db), pytest.raises(PrivilegeMissing) as refused:
            poor.db.read("reading the queue", lambda conn: conn.execute("table public.sync_queue"))

        assert str(refused.value) == (
            "reading the queue: permission denied for table sync_queue. Grant it, or connect as the owner."
        )

    @pytest.mark.parametrize(
        ("statement", "state"),
        [
            ("select 'CANARY'::integer", "22P02"),
            ("insert into public.account_host (_id) values ('CANARY'), ('CANARY')", "23505"),
            ("insert into public.sync_queue (table_name, record_id, operation) values ('', '', 'CANARY')", "23514"),
            ('select * from "CANARY"', "42P01"),
            ("do $$ begin raise exception 'CANARY' using detail = 'CANARY', hint = 'CANARY'; end $$", "P0001"),
            ("CANARY", "42601"),
        ],
    )
    def test_any_other_state_comes_without_the_servers_text(self, site: Site, statement: str, state: str):
        canary = f"canary{secrets.token_hex(8)}"
        statement = statement.replace("CANARY", canary)

        with pytest.raises(ServerRefused) as changing:
            change(site.db, statement)

        refused = f"changing: PostgreSQL refused it (SQLSTATE {state}). The server's log has the reason."
        assert str(changing.value) == refused
        assert canary not in "".join(traceback.format_exception(changing.value))

    def test_a_refusal_at_the_commit_is_one_too(self, site: Site):
        site.by_hand(
            "create table public.late (id int unique deferrable initially deferred)",
            "alter table public.late owner to postgres",
        )

        with pytest.raises(ServerRefused, match="23505"):
            change(site.db, "insert into public.late values (1), (1)")

        change(site.db, read_one)
        assert site.by_hand("table public.late") == []

    def test_an_error_of_ours_passes_and_nothing_is_kept(self, site: Site):
        def refusing(conn: Connection) -> None:
            conn.execute("create table public.half ()")
            raise ForeignObject("not ours")

        with pytest.raises(ForeignObject, match=r"^not ours$"):
            change(site.db, refusing)

        assert site.by_hand("select to_regclass('public.half') as it") == [{"it": None}]

    def test_an_interrupt_within_a_pipeline_stays_an_interrupt(self, site: Site):
        def interrupted(conn: Connection) -> None:
            conn.execute("set local statement_timeout = '100ms'")
            with conn.pipeline():
                # As after an interrupt: sent, and not read.
                conn.pgconn.send_query_params(b"select pg_sleep(60)", None)
                conn.pgconn.pipeline_sync()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            site.db.read("reading", interrupted)

    def test_an_interrupted_change_keeps_nothing_and_the_connection_goes_on(self, site: Site):
        def interrupted(conn: Connection) -> None:
            conn.execute("create table public.half ()")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            change(site.db, interrupted)

        change(site.db, read_one)
        assert site.by_hand("select to_regclass('public.half') as it") == [{"it": None}]

    def test_a_defect_of_ours_is_not_taken_for_a_word_of_the_server(self, site: Site):
        with pytest.raises(psycopg.ProgrammingError) as raised:
            site.db.read("looking", lambda conn: conn.execute("select %(absent)s", {"present": 1}))

        assert not isinstance(raised.value, SyncError)


def test_what_psycopg_logs_of_a_missing_table_is_not_shown(site: Site, capfd: pytest.CaptureFixture[str]):
    logged: list[logging.LogRecord] = []
    watch = logging.Handler()
    watch.emit = logged.append
    logging.getLogger("psycopg").addHandler(watch)
    try:
        for _ in range(20):
            assert site.db.read("looking", lambda conn: fetch(conn, "table public.not_there")) == []
    finally:
        logging.getLogger("psycopg").removeHandler(watch)

    assert logged == []
    assert capfd.readouterr().err == ""


def test_a_beginning_that_is_refused_leaves_the_connection_usable(site: Site):
    lock = "function pg_catalog.pg_advisory_xact_lock(bigint)"
    site.by_hand(f"revoke execute on {lock} from public")
    try:
        with pytest.raises(PrivilegeMissing):
            change(site.db, read_one)
    finally:
        site.by_hand(f"grant execute on {lock} to public")

    change(site.db, read_one)


Overtake = Callable[[str, int], list[str]]


@pytest.fixture
def overtaken(site: Site, monkeypatch: pytest.MonkeyPatch) -> Overtake:
    """Give the role a timeout of 200 ms, and let it end the next transactions before our limits are set."""
    begun: list[str] = []

    def overtake(timeout: str, times: int) -> list[str]:
        def slow(subject: str, name: str) -> LiteralString:
            text = query(subject, name)
            if not name.startswith("begin"):
                return text
            begun.append(name)
            return cast("LiteralString", f"{text}\nselect pg_catalog.pg_sleep(10);") if len(begun) <= times else text

        if not site.by_hand(f"select name from pg_settings where name = '{timeout}'"):
            pytest.skip(f"this PostgreSQL has no {timeout}: POSTGRES=17 has")
        monkeypatch.setattr("bubble_sync.database.database.query", slow)
        site.by_hand(f"alter role postgres set {timeout} = '200ms'")
        return begun

    return overtake


TIMEOUTS = ["statement_timeout", "transaction_timeout"]


class TestRoleTimeouts:
    """A role's timeout can end a transaction before our own limits are set."""

    @pytest.mark.parametrize("timeout", TIMEOUTS)
    @pytest.mark.parametrize("how", ["read", "change"])
    def test_the_transaction_begins_again(self, site: Site, overtaken: Overtake, timeout: str, how: str):
        begun = overtaken(timeout, 2)

        assert getattr(site.db, how)("working", read_one) == 1
        assert len(begun) == 3

    @pytest.mark.parametrize("timeout", TIMEOUTS)
    def test_it_begins_ten_times_at_most(self, site: Site, overtaken: Overtake, timeout: str):
        begun = overtaken(timeout, 99)

        with pytest.raises((Busy, Unreachable), match=r"^reading: "):
            site.db.read("reading", read_one)
        assert len(begun) == 10

    def test_after_a_persons_cancel_it_does_not(self, site: Site):
        waiting = "pid <> pg_backend_pid() and wait_event_type = 'Lock'"
        with psycopg.connect(site.addresses.admin_url) as other, ThreadPoolExecutor(1) as pool:
            other.execute(OUR_LOCK)
            changing = pool.submit(change, site.db, read_one)
            while not site.by_hand(f"select pg_cancel_backend(pid) from pg_stat_activity where {waiting}"):
                assert not changing.done()
            with pytest.raises(Busy, match="changing: another session cancelled it"):
                changing.result()


class TestEndedBeforeTheRollback:
    """With an error our local limits end, and the role's idle timeout can end the session before our rollback."""

    @pytest.fixture(autouse=True)
    def ended(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the role an idle timeout of 1 ms, and let a rollback after an error wait for the session to end."""

        def late(conn: Connection) -> None:
            if conn.info.transaction_status == TransactionStatus.INERROR:
                heard, _, _ = select.select([conn], [], [], 20)
                assert heard, "the server did not end the session"
            psycopg.Connection.rollback(conn)

        monkeypatch.setattr(NamedConnection, "rollback", late, raising=False)
        site.by_hand("alter role postgres set idle_in_transaction_session_timeout = '1ms'")

    @pytest.mark.parametrize("how", ["read", "change"])
    def test_a_transaction_begins_again(self, site: Site, overtaken: Overtake, how: str):
        begun = overtaken("statement_timeout", 2)

        assert getattr(site.db, how)("working", read_one) == 1
        assert len(begun) == 3

    def test_a_refusal_keeps_its_cause(self, site: Site):
        with pytest.raises(ServerRefused, match=r"^changing: PostgreSQL refused it \(SQLSTATE 22012\)"):
            change(site.db, "select 1 / 0")

    def test_a_lost_race_is_run_again(self, site: Site):
        pids: list[int] = []

        def lose_once(conn: Connection) -> object:
            pids.append(pid_of(conn))
            if len(pids) == 1:
                conn.execute("do $$ begin raise exception using errcode = '40001'; end $$")
            return read_one(conn)

        assert site.db.change("working", lose_once) == 1
        assert len(set(pids)) == 2

    def test_an_answer_counts(self, site: Site):
        def read_and_lose(conn: Connection) -> object:
            answer = read_one(conn)
            end_session(site, pid_of(conn))
            return answer

        assert site.db.read("reading", read_and_lose) == 1
        assert site.db.read("reading", read_one) == 1


class TestConnections:
    """One for each that is at work, and each as it was after every change."""

    def test_two_threads_at_once_have_one_each_and_one_after_the_other_the_same(self, site: Site):
        both = threading.Barrier(2)

        def pid(conn: Connection) -> int:
            both.wait(timeout=20)
            return pid_of(conn)

        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda _: site.db.read("reading", pid), range(2))

        assert one != other
        assert site.db.read("reading", pid_of) in (one, other)
        site.db.close()

    def test_changes_of_two_threads_come_one_after_the_other(self, site: Site):
        site.by_hand("create table public.counter as select 0 as n", "alter table public.counter owner to postgres")

        def count(_: int) -> None:
            for _ in range(10):
                with site.db.transaction("counting") as conn:
                    seen = value(conn, "select n from public.counter")
                    conn.execute("update public.counter set n = %s + 1", (seen,))
            site.db.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(4)))

        assert site.by_hand("table public.counter") == [{"n": 40}]

    @pytest.mark.parametrize("statement", ["select 1", "select 1 / 0"], ids=["kept", "undone"])
    def test_nothing_of_a_change_stays_on_the_connection(self, site: Site, statement: str):
        with connect(read_database_url(site.addresses.database_url)) as fresh:
            as_connected = session_state(fresh)
        pid = site.db.read("looking", pid_of)

        try:
            with site.db.transaction("changing") as conn:
                inside = session_state(conn)
                conn.execute(statement)
        except ServerRefused:
            assert "/ 0" in statement

        kept = site.db.read("looking", lambda conn: conn)
        assert session_state(kept) == {**as_connected, "pid": pid}
        kept.rollback()
        assert all(inside[name] != as_connected[name] for name in as_connected if name != "pid")

    def test_a_change_has_limits_and_an_empty_search_path(self, site: Site):
        with site.db.transaction("changing") as conn:
            inside = session_state(conn)

        del inside["pid"]
        assert inside == {
            "search_path": '""',
            "lock_timeout": "5s",
            "statement_timeout": "30s",
            "idle_in_transaction_session_timeout": "1min",
            "locks": 1,
        }

    def test_a_reading_has_limits_an_empty_search_path_and_may_not_write(self, site: Site):
        inside = site.db.read("reading", session_state)

        assert (inside["search_path"], inside["lock_timeout"], inside["statement_timeout"]) == ('""', "5s", "30s")
        assert inside["locks"] == 0
        with pytest.raises(PrerequisiteMissing, match="the server is read-only"):
            site.db.read("reading", lambda conn: conn.execute("create table public.made ()"))

    def test_an_operation_has_limits_the_roles_own_search_path_and_no_lock(self, site: Site):
        with site.db.operation("putting back") as conn:
            inside = session_state(conn)

        assert (inside["search_path"], inside["lock_timeout"], inside["statement_timeout"]) == (
            '"$user", public, extensions', "5s", "30s",
        )  # fmt: skip
        assert inside["locks"] == 0

    def test_an_operation_is_all_or_nothing(self, site: Site):
        with pytest.raises(ServerRefused), site.db.operation("putting back") as conn:
            conn.execute("create table public.half (); select 1 / 0")

        assert site.by_hand("select to_regclass('public.half') as it") == [{"it": None}]

    def test_a_reading_leaves_no_transaction_open(self, site: Site):
        pid = site.db.read("reading", pid_of)

        assert site.by_hand(f"select state from pg_stat_activity where pid = {pid}") == [{"state": "idle"}]

    def test_the_server_knows_it_by_name(self, site: Site):
        assert site.db.read("looking", lambda conn: value(conn, "show application_name")) == "bubble-sync"


def session_state(conn: Connection) -> dict[str, object]:
    names = ("search_path", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    advisory = (
        "select count(*) from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()"
    )
    found = {name: value(conn, f"show {name}") for name in names}
    return {**found, "locks": value(conn, advisory), "pid": pid_of(conn)}
