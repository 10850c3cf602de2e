"""Each row of `docs/reference/errors.md`, provoked: the server, libpq or pgbouncer says it; the product means it."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial

import psycopg
import pytest
import trustme

from bubble_sync.cli.exit_codes import failure_of
from bubble_sync.config.database_url import read_database_url
from bubble_sync.database import connection
from bubble_sync.database.connection import connect
from bubble_sync.database.database import Connection, translated
from bubble_sync.database.errors import CONNECT_CAUSES, SESSION_CAUSES, ConnectCause, SessionCause, session_cause
from bubble_sync.errors import SyncError, Unreachable
from bubble_sync.local.postgres.cluster import free_port
from tests.faults.conftest import Row
from tests.faults.states import Ground, full_tablespace
from tests.fixtures.meanwhile import meanwhile
from tests.fixtures.modes import pgbouncer
from tests.fixtures.refusing import refusing
from tests.fixtures.serving import serving
from tests.fixtures.tls import HOST
from tests.fixtures.tools import missing

PASSWORD = "a-password-of-this-test-alone"
Provoking = Callable[[Ground], AbstractContextManager[str]]

#: What only Supabase's pooler says: spoken by a stand-in for the server, word for word.
SUPAVISOR = {
    "ecircuitbreaker": "(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked",
    "circuit breaker open": "Circuit breaker open: Unable to establish connection to upstream database",
    "wrong password": "Wrong password",
    "tenant or user not found": "Tenant or user not found",
    "tenant/user": "(ENOTFOUND) tenant/user postgres.x not found",
    "allow_list": "Address not in tenant allow_list: {1, 2, 3, 4}",
    "ssl connection is required": "SSL connection is required",
    "esslrequired": "(ESSLREQUIRED) the connection must be encrypted",
    "max client": "(EMAXCONNSESSION) max clients reached in session mode",
    "maxclients": "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
}


def place(port: int, rest: str = "/postgres", user: str = f"postgres:{PASSWORD}", host: str = "127.0.0.1") -> str:
    return f"postgresql://{user}@{host}:{port}{rest}"


@contextmanager
def words(sign: str, ground: Ground) -> Iterator[str]:
    """Answer with Supavisor's words."""
    with refusing(SUPAVISOR[sign]) as server:
        yield server.url


def fixed(url: Callable[[Ground], str]) -> Provoking:
    """Make a provocation of a URL alone."""
    return lambda ground: nullcontext(url(ground))


def changed(old: str, new: str) -> Provoking:
    """Change a part of the platform's URL; `{port}` and `{password}` are the platform's."""

    def url(ground: Ground) -> str:
        known = {"port": ground.addresses.database_port, "password": ground.addresses.password}
        return ground.addresses.database_url.replace(old.format(**known), new.format(**known), 1)

    return fixed(url)


@contextmanager
def by_hand(take: str, give: str, ground: Ground) -> Iterator[str]:
    """Change something of the server as long as the block lasts."""
    ground.by_hand(*take.split(";"))
    try:
        yield ground.addresses.database_url
    finally:
        ground.by_hand(*give.split(";"))


@contextmanager
def another_database(how: str, ground: Ground) -> Iterator[str]:
    """Connect to another database that is changed."""
    ground.by_hand("create database another", how)
    try:
        yield ground.addresses.database_url.rpartition("/")[0] + "/another"
    finally:
        ground.by_hand("drop database another")


@contextmanager
def bouncer(settings: str, old: str, new: str, ground: Ground) -> Iterator[str]:
    """Connect through pgbouncer with a changed URL."""
    with pgbouncer(ground.addresses, "session", settings) as port:
        url = ground.addresses.database_url.replace(f":{ground.addresses.database_port}/", f":{port}/")
        yield f"{url}?".replace(old or ground.addresses.password, new, 1).rstrip("?")


@contextmanager
def bouncer_without_room(ground: Ground) -> Iterator[str]:
    """Let another session hold the only connection that pgbouncer accepts."""
    with bouncer("max_client_conn = 1\n", " ", "", ground) as url, psycopg.connect(url):
        yield url


@contextmanager
def configured(file: str, text: str, ground: Ground) -> Iterator[str]:
    """Write another file of the server's configuration as long as the block lasts."""
    path = ground.cluster.data / file
    before = path.read_text()
    path.write_text(text)
    ground.reload()
    try:
        yield ground.addresses.database_url
    finally:
        path.write_text(before)
        ground.reload()


@contextmanager
def crowded(ground: Ground) -> Iterator[str]:
    """Let others hold every connection that is not reserved."""
    few = {"max_connections": "14", "superuser_reserved_connections": "8", "autovacuum": "off"}
    with ground.restarted(**few), ground.all_connections(ground.addresses.database_url):
        yield ground.addresses.database_url


@contextmanager
def stopping(ground: Ground) -> Iterator[str]:
    """Let the server wait for another session before it stops."""
    with ground.stopping():
        yield ground.addresses.database_url


@contextmanager
def encrypted(ground: Ground, authority: trustme.CA, host: str = HOST) -> Iterator[str]:
    """Let the server speak TLS with a certificate of the authority."""
    certificate = authority.issue_cert(host)
    for name, blob in (("tls.pem", certificate.cert_chain_pems[0]), ("tls.key", certificate.private_key_pem)):
        path = ground.cluster.data / name
        blob.write_to_path(str(path))
        path.chmod(0o600)
        ground.cluster.account.own(path)
    with ground.restarted(ssl="on", ssl_cert_file="tls.pem", ssl_key_file="tls.key"):
        user = ground.addresses.database_url.split("@")[0]
        yield f"{user}@{HOST}:{ground.addresses.database_port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full"


@contextmanager
def wrongly_encrypted(ground: Ground, host: str = HOST, *, known: bool = False) -> Iterator[str]:
    """Let the server have a certificate of another authority, or of another host."""
    authority, ca = trustme.CA(), ground.scratch / "ca.pem"
    (authority if known else trustme.CA()).cert_pem.write_to_path(str(ca))
    with encrypted(ground, authority, host) as url:
        yield f"{url}&sslrootcert={ca}"


def elsewhere(rest: str) -> Provoking:
    """Name a host elsewhere at the platform's own address."""
    return fixed(lambda ground: place(ground.addresses.database_port, f"/postgres?hostaddr=127.0.0.1{rest}", host=HOST))


class _Http(socketserver.BaseRequestHandler):
    """Answer anything as web servers do."""

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def web_server(rest: str, ground: Ground) -> Iterator[str]:
    """Name the port of a web server."""
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Http)) as server:
        yield place(server.server_address[1], f"/postgres{rest}")


@contextmanager
def silent(ground: Ground) -> Iterator[str]:
    """Listen, and answer after the client has gone."""
    with refusing("late", after_seconds=5) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "CONNECT_TIMEOUT_SECONDS", 2)
        yield server.url


CONNECTING: Mapping[str, Provoking] = {
    **{sign: partial(words, sign) for sign in SUPAVISOR},
    "password authentication failed": changed("{password}", PASSWORD),
    "sasl authentication failed": partial(bouncer, "", "", PASSWORD),
    "no password supplied": changed(":{password}@", "@"),
    "root certificate file": lambda ground: encrypted(ground, trustme.CA()),
    "certificate verify failed": wrongly_encrypted,
    "does not match host name": lambda ground: wrongly_encrypted(ground, "db.another.test", known=True),
    "does not support ssl": elsewhere("&sslmode=require"),
    "failed to resolve host": fixed(lambda ground: place(5432, host="db.nowhere.invalid")),
    "connection refused": fixed(lambda ground: place(free_port())),
    "no such file or directory": fixed(lambda ground: f"postgresql://postgres:{PASSWORD}@/postgres?host=/nowhere"),
    "expected authentication request": partial(web_server, ""),
    "invalid response to ssl negotiation": partial(web_server, "?sslmode=require"),
    "too many c": partial(by_hand, "alter role postgres connection limit 0", "alter role postgres connection limit -1"),
    "connection slots are reserved": crowded,
    "no more connections allowed": bouncer_without_room,
    "database system is": stopping,
    "no pg_hba.conf entry": partial(configured, "pg_hba.conf", "local all all trust\n"),
    "pg_hba.conf rejects": partial(
        configured, "pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 reject\n"
    ),
    "does not exist": changed("{port}/postgres", "{port}/nowhere"),
    "no such database": partial(bouncer, "", "/postgres?", "/nowhere?"),
    "is not permitted to log in": partial(by_hand, "alter role postgres nologin", "alter role postgres login"),
    "permission denied for database": partial(another_database, "revoke connect on database another from public"),
    "not currently accepting connections": partial(
        another_database, "alter database another with allow_connections false"
    ),
    "authentication method requirement": changed("{port}/postgres", "{port}/postgres?require_auth=none"),
    "channel binding required": changed("{port}/postgres", "{port}/postgres?channel_binding=require"),
    "invalid value for parameter": changed("{port}/postgres", "{port}/postgres?options=-c%20TimeZone%3Dnowhere"),
    "unrecognized configuration parameter": changed("{port}/postgres", "{port}/postgres?options=-c%20unknown%3D1"),
    "timeout": silent,
    "connection is bad": changed("{port}/postgres", "{port}/postgres?load_balance_hosts=unknown"),
}
#: In a network of its own, where nothing is reached.
UNREACHABLE = {
    "network is unreachable": "198.51.100.1",
    "no route to host": "192.0.2.1",
    "cannot assign requested address": "::1",
}
IN_A_NETWORK_OF_ITS_OWN = """
set -e
ip link set lo up
ip route add unreachable 192.0.2.0/24
echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6
exec "$@"
"""
ASK_EACH = """
import json, sys, psycopg
from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.connection import connect
from bubble_sync.errors import Unreachable
found = {}
for sign, address in json.loads(sys.argv[1]).items():
    url = f"postgresql://postgres:p@db.example.test:5432/postgres?hostaddr={address}"
    try:
        psycopg.connect(url)
    except psycopg.Error as libpq:
        try:
            connect(read_database_url(url))
        except Unreachable as meant:
            found[sign] = str(libpq), str(meant)
print(json.dumps(found))
"""


def why(url: str) -> str:
    """Return the product's line: one line, without the password, exit code 3."""
    with pytest.raises(Unreachable) as refused:
        connect(read_database_url(url)).close()
    line, shown = str(refused.value), "".join(traceback.format_exception(refused.value))
    assert PASSWORD not in shown
    assert "\n" not in line
    assert failure_of(refused.value).exit_code == 3
    return line


def libpq_text(url: str) -> str:
    """Return what libpq says of the same connection."""
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(url, **connection._parameters(read_database_url(url))).close()
    return str(refused.value).lower()


def row_of(sign: str) -> ConnectCause:
    return next(one for one in CONNECT_CAUSES if one.sign == sign)


def provoke_connecting(ground: Ground, sign: str) -> None:
    """Make libpq say a text, and hold the product's line against the row of the text."""
    with CONNECTING[sign](ground) as url:
        assert sign in libpq_text(url)
        assert f": {row_of(sign).cause}." in why(url)


# --- In a session


def run(*statements: str) -> Callable[[Ground, Connection], None]:
    """Run statements, the last of which is refused."""

    def provoke(ground: Ground, conn: Connection) -> None:
        for statement in statements:
            conn.execute(statement.encode())

    return provoke


def ended_by(*statements: str) -> Callable[[Ground, Connection], None]:
    """Run statements after which the server ends the session by itself."""

    def provoke(ground: Ground, conn: Connection) -> None:
        # The last message of the server is lost with the connection now and then.
        for _ in range(20):
            with closing(connect(read_database_url(ground.addresses.socket_url("postgres")))) as fresh:
                run(*statements)(ground, fresh)
                ground.wait_until_gone(fresh.info.backend_pid)
                try:
                    fresh.execute("select 1")
                except psycopg.Error as lost:
                    if lost.sqlstate:
                        raise

    return provoke


def waited_too_long_behind_pgbouncer(ground: Ground, conn: Connection) -> None:
    few = "query_wait_timeout = 1\ndefault_pool_size = 1\n"
    with bouncer(few, " ", "", ground) as url, psycopg.connect(url) as other:
        other.execute("select 1")
        with psycopg.connect(url) as waiting:
            waiting.execute("select 1")


def cancelled(ground: Ground, conn: Connection) -> None:
    cancel = f"""
        do $$ begin
            loop
                exit when (select pg_cancel_backend(pid) from pg_stat_activity
                    where pid = {conn.info.backend_pid} and state = 'active');
                perform pg_sleep(0.02), pg_stat_clear_snapshot();
            end loop;
        end $$
    """
    with meanwhile(lambda _: ground.by_hand(cancel)):
        conn.execute("select pg_sleep(60)")


def held(ground: Ground, conn: Connection) -> None:
    with psycopg.connect(ground.addresses.admin_url) as other:
        other.execute("lock table public.sync_queue")
        run("set lock_timeout = '20ms'", "table public.sync_queue")(ground, conn)


def overtaken(ground: Ground, conn: Connection) -> None:
    count = "update public.counter set n = n + 1"
    with by_hand("create table public.counter as select 1 as n; grant all on public.counter to postgres",
                 "drop table public.counter", ground):  # fmt: skip
        try:
            run("begin isolation level repeatable read", "table public.counter")(ground, conn)
            ground.by_hand(count)
            conn.execute(count)
        finally:
            conn.rollback()


def in_a_circle(ground: Ground, conn: Connection) -> None:
    waits = """
        do $$ begin
            while not exists (select from pg_locks where pid = {pid} and not granted) loop
                perform pg_sleep(0.02);
            end loop;
        end $$
    """
    with psycopg.connect(ground.addresses.admin_url) as other:
        # The other one never looks for a circle, so that this one is its victim.
        other.execute("set deadlock_timeout = '1h'")
        other.execute("select pg_advisory_xact_lock(2)")
        run("begin", "select pg_advisory_xact_lock(1)")(ground, conn)
        with meanwhile(lambda _: other.execute("select pg_advisory_xact_lock(1)")):
            ground.by_hand(waits.format(pid=other.info.backend_pid))
            try:
                conn.execute("select pg_advisory_xact_lock(2)")
            finally:
                conn.rollback()


def on_a_full_disk(ground: Ground, conn: Connection) -> None:
    with full_tablespace(ground) as name:
        run(f"create table public.big tablespace {name} as select repeat('x', 1000) from generate_series(1, 9999)")(
            ground, conn
        )


def with_a_damaged_block(ground: Ground, conn: Connection) -> None:
    with by_hand("create table public.damaged as select 1 as n; checkpoint; "
                 "grant select on public.damaged to postgres", "drop table public.damaged", ground):  # fmt: skip
        with ground.file_of("public.damaged").open("ab") as file:
            file.write(b"\xff" * 8192)
        conn.execute("table public.damaged")


def with_a_damaged_index(ground: Ground, conn: Connection) -> None:
    with by_hand("create table public.damaged as select n from generate_series(1, 9) as n; "
                 "create index damaged_n on public.damaged (n); grant select on public.damaged to postgres; checkpoint",
                 "drop table public.damaged", ground):  # fmt: skip
        file = ground.file_of("public.damaged_n")
        damage = ground.restarted(before=lambda: file.write_bytes(file.read_bytes()[:8192] + bytes(8192)))
        with damage, closing(connect(read_database_url(ground.addresses.database_url))) as fresh:
            run("set enable_seqscan = off", "set enable_bitmapscan = off", "select n from public.damaged where n = 1")(
                ground, fresh
            )


def passed_on(state: str) -> Callable[[Ground, Connection], None]:
    """Raise what the server says to a pooler, which passes it on in a session."""
    return run(f"do $$ begin raise exception using errcode = '{state}'; end $$")


def out_of_time(ground: Ground, conn: Connection) -> None:
    """Let a transaction take too long, on a server that has the limit; an older one says so for a pooler alone."""
    if conn.info.server_version < 170000:
        passed_on("25P04")(ground, conn)
    run("set transaction_timeout = '20ms'", "begin", "select pg_sleep(60)")(ground, conn)


IN_A_SESSION: Mapping[str, Callable[[Ground, Connection], None]] = {
    "53300": passed_on("53300"),
    "57P05": ended_by("set idle_session_timeout = '20ms'"),
    "08P01": waited_too_long_behind_pgbouncer,
    "57P01": run("select pg_terminate_backend(pg_backend_pid())"),
    "57P02": passed_on("57P02"),
    "57P03": passed_on("57P03"),
    "57P04": passed_on("57P04"),
    "25P03": ended_by("set idle_in_transaction_session_timeout = '20ms'", "begin"),
    "25P04": out_of_time,
    "42501": run("delete from pg_catalog.pg_authid"),
    "57014 timeout": run("set statement_timeout = '20ms'", "select pg_sleep(60)"),
    "57014": cancelled,
    "55P03": held,
    "40001": overtaken,
    "40P01": in_a_circle,
    "25006": run("set default_transaction_read_only = on", "create table public.made ()"),
    "53100": on_a_full_disk,
    "58P01": run("load '$libdir/plugins/nowhere'"),
    "XX001": with_a_damaged_block,
    "XX002": with_a_damaged_index,
    "42P01": run("table public.nowhere"),
}


def provoke_in_session(ground: Ground, name: str) -> SessionCause:
    """Make the server refuse a statement, and hold the product's line against the row of the SQLSTATE."""
    with (
        closing(connect(read_database_url(ground.addresses.database_url))) as conn,
        pytest.raises(SyncError) as refused,
        translated("doing"),
    ):
        IN_A_SESSION[name](ground, conn)
    error = refused.value.__context__
    assert isinstance(error, psycopg.Error)
    state, message = error.sqlstate or "", error.diag.message_primary or ""
    cause = session_cause(state, message)
    assert state == name.split()[0]
    assert type(refused.value) is cause.error
    assert str(refused.value) == f"doing: {cause.line(state, message)}"
    return cause


def test_every_row_is_provoked():
    assert {*CONNECTING, *UNREACHABLE} == {one.sign for one in CONNECT_CAUSES}
    listed = {state if len(state) > 2 else f"{state}P01" for one in SESSION_CAUSES for state in one.states}
    assert {name.split()[0] for name in IN_A_SESSION} == {*listed, "42P01"}
    assert {one.sign for one in SESSION_CAUSES} == {"", *(name.partition(" ")[2] for name in IN_A_SESSION)}


CHEAP_TO_CONNECT = ("connection refused", "is not permitted to log in", "expected authentication request", "maxclients")
CHEAP_IN_SESSION = ("57P05", "57P01", "42501", "57014 timeout", "25006", "58P01", "XX001", "42P01")


def test_some_rows_are_as_the_page_has_them(shared: Ground, tally: list[Row]):
    for sign in CHEAP_TO_CONNECT:
        provoke_connecting(shared, sign)
    for name in CHEAP_IN_SESSION:
        provoke_in_session(shared, name)


@pytest.mark.matrix
def test_each_failed_connection_is_as_the_page_has_it(ground: Ground, tally: list[Row]):
    row = Row("states", "libpq texts (no CLI)", converged=0)
    tally.append(row)
    wrong = {}
    for sign in CONNECTING:
        row.points += 1
        try:
            provoke_connecting(ground, sign)
        except (AssertionError, psycopg.Error, pytest.fail.Exception) as problem:
            wrong[sign] = str(problem)
        else:
            row.converged = (row.converged or 0) + 1

    assert not wrong, json.dumps(wrong, indent=1)


@pytest.mark.matrix
def test_each_network_that_leads_nowhere_is_as_the_page_has_it(tally: list[Row]):
    row = Row("states", "networks that lead nowhere (no CLI)", points=len(UNREACHABLE), converged=0)
    tally.append(row)
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", IN_A_NETWORK_OF_ITS_OWN, "sh", sys.executable, "-c", ASK_EACH,
         json.dumps(UNREACHABLE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        missing("the right to make a network")
    found: dict[str, tuple[str, str]] = json.loads(done.stdout or "{}")

    for sign in UNREACHABLE:
        libpq, line = found[sign]
        assert sign in libpq.lower()
        assert row_of(sign).cause in line
    row.converged = len(found)


@pytest.mark.matrix
def test_each_sqlstate_is_as_the_page_has_it(ground: Ground, tally: list[Row]):
    row = Row("states", "SQLSTATEs (no CLI)", converged=0)
    tally.append(row)
    wrong = {}
    for name in IN_A_SESSION:
        row.points += 1
        try:
            provoke_in_session(ground, name)
        except (AssertionError, psycopg.Error, pytest.fail.Exception) as problem:
            wrong[name] = f"{type(problem).__name__}: {problem}"
        else:
            row.converged = (row.converged or 0) + 1

    assert not wrong, json.dumps(wrong, indent=1)
