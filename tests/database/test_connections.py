"""The connections of a process: a password that is refused is tried once, and one connection is enough."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database import connection
from bubble_sync.database.connection import connect
from bubble_sync.database.database import Connection, Database
from bubble_sync.errors import Unreachable
from tests.fixtures.proxy import Break, Fault, Proxy
from tests.fixtures.refusing import WRONG_PASSWORD, refusing
from tests.fixtures.site import Site


def read_one(conn: Connection) -> object:
    return conn.execute("select pg_sleep(0.01), pg_backend_pid() as it").fetchall()[0]["it"]


def asked(database: Database, times: int) -> list[str]:
    """Ask from four threads at once, and return what each was told."""

    def ask(_: int) -> str:
        try:
            return str(database.read("reading", read_one))
        except Unreachable as problem:
            return str(problem)

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(ask, range(times)))


class TestARefusal:
    """Remembered as long as another attempt is no use."""

    def test_a_wrong_password_is_tried_once_by_a_process(self):
        with refusing(WRONG_PASSWORD) as server:
            told = asked(Database(read_database_url(server.url)), 15)

        assert server.attempts == 1
        assert len(set(told)) == 1
        assert "the password is wrong; it was tried once" in told[0]

    @pytest.mark.parametrize(
        "said",
        ["Circuit breaker open", "(ECIRCUITBREAKER) too many failures", "Address not in tenant allow_list: {1, 2}",
         "SSL connection is required", "Tenant or user not found", 'no pg_hba.conf entry for host "1.2.3.4"'],
    )  # fmt: skip
    def test_what_only_a_person_can_change_is_tried_once_too(self, said: str):
        with refusing(said) as server:
            told = asked(Database(read_database_url(server.url)), 15)

        assert (server.attempts, len(set(told))) == (1, 1)

    def test_a_server_that_starts_is_asked_again(self, site: Site):
        with refusing("the database system is starting up") as server:
            database = Database(read_database_url(server.url))
            for _ in range(1000):
                with pytest.raises(Unreachable, match="it is starting or stopping"):
                    database.read("reading", read_one)

        assert server.attempts > 1

    def test_a_server_that_does_not_answer_is_waited_for_once(self):
        with refusing("timeout expired", after_seconds=1) as server:
            told = asked(Database(read_database_url(server.url)), 15)

        assert (server.attempts, len(set(told))) == (1, 1)


def test_a_server_that_goes_silent_is_a_lost_connection(site: Site, proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    with closing(Database(read_database_url(proxy.url(site.addresses.database_url)))) as database:
        database.read("reading", read_one)
        # The first message begins the transaction.
        proxy.begin(Fault("client", 1, Break.SILENT), lambda: monkeypatch.setattr(connection, "SILENCE_SECONDS", 0))
        with pytest.raises(Unreachable, match=r"^reading: the connection to the database was lost\. Run again"):
            database.read("reading", read_one)

        monkeypatch.undo()
        assert database.read("reading", read_one)


class TestFewConnections:
    """More than one is used where the server has them, and one is enough."""

    @pytest.fixture
    def limited(self, site: Site) -> Iterator[Site]:
        site.end_sessions()
        site.by_hand("alter role postgres connection limit 1")
        yield site
        site.by_hand("alter role postgres connection limit -1")

    @pytest.mark.hosted_role
    def test_four_threads_take_turns_with_one(self, limited: Site):
        with closing(Database(read_database_url(limited.addresses.database_url))) as database:
            told = asked(database, 20)

        assert len(set(told)) == 1
        assert told[0].isdecimal()

    def test_four_threads_have_four_where_they_can(self, site: Site):
        met = threading.Barrier(4)

        def meet(conn: Connection) -> int:
            met.wait(10)
            return conn.info.backend_pid

        with ThreadPoolExecutor(4) as threads:
            pids = set(threads.map(lambda _: site.db.read("reading", meet), range(4)))

        assert len(pids) == 4

    def test_threads_one_after_the_other_share_one(self, site: Site):
        pids = set()
        for _ in range(4):
            with ThreadPoolExecutor(1) as thread:
                pids.add(thread.submit(site.db.read, "reading", read_one).result())

        assert len(pids) == 1

    @pytest.mark.hosted_role
    def test_the_last_connection_is_waited_for_a_moment(self, limited: Site):
        other = connect(read_database_url(limited.addresses.database_url))
        with closing(Database(read_database_url(limited.addresses.database_url))) as database:
            leaves = threading.Timer(0.5, other.close)
            leaves.start()
            assert isinstance(database.read("reading", read_one), int)
            leaves.join()
