"""The server goes away, or another one takes its place: nothing is half done, and one run converges."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.converge import lifecycle
from bubble_sync.database.database import Connection, Database
from bubble_sync.errors import PrerequisiteMissing, Unreachable
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.cluster import Cluster, data_major, free_port
from bubble_sync.local.postgres.installation import find_installation
from bubble_sync.local.postgres.overlay import lay_out
from bubble_sync.specs import Spec
from tests.faults.conftest import Row
from tests.faults.states import ACTING, QUIET, READING, Ground, assert_sound, converge, small_disk
from tests.fixtures.guard import short_folder
from tests.fixtures.history import item
from tests.fixtures.modes import pgbouncer
from tests.fixtures.platform import reset
from tests.fixtures.proxy import Proxy, proxying
from tests.fixtures.site import Site
from tests.fixtures.tools import missing
from tools.test_tools import clients_folder

JOBIDS = "select jobname, jobid from cron.job order by jobid"


def killed(ground: Ground, conn: Connection) -> None:
    """Kill the session's process: the server crashes, which ends every session, and recovers."""
    with psycopg.connect(ground.addresses.admin_url, autocommit=True) as other:
        ground.kill_backend(conn.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            other.execute("select pg_sleep(60)")


def crashed(ground: Ground, conn: Connection) -> None:
    """Stop the server without a word to its sessions."""
    ground.cluster._control("stop", "-m", "immediate")


def restarted(ground: Ground, conn: Connection) -> None:
    """Restart the server."""
    ground.cluster.stop()
    ground.cluster.start(ground.server)


def ended(ground: Ground, conn: Connection) -> None:
    """End the session by hand."""
    ground.by_hand(f"select pg_terminate_backend({conn.info.backend_pid}, 5000)")


Ending = Callable[[Ground, Connection], None]


def lose(ground: Ground, site: Site, spec: Spec, ending: Ending) -> None:
    """Lose the server when an object is made and not committed; nothing of the object is there."""

    def losing(conn: Connection) -> None:
        lifecycle.converge(conn, spec)
        ending(ground, conn)
        conn.execute("select 1")

    before = site.observe(spec)
    with pytest.raises(Unreachable, match=r"the connection to the database was lost\. Run again: finished work"):
        site.db.change(f"converging {spec.object_name}", losing)
    ground.cluster.start(ground.server)
    ground.wait_until_up()
    assert site.observe(spec) == before


@pytest.mark.parametrize("ending", [ended, *(pytest.param(one, marks=pytest.mark.matrix)
                                             for one in (killed, crashed, restarted))])  # fmt: skip
def test_an_object_that_the_server_lost_midway_is_not_there_and_the_next_run_makes_it(
    request: pytest.FixtureRequest, tally: list[Row], ending: Ending
):
    ground: Ground = request.getfixturevalue("shared" if ending is ended else "own_ground")
    reset(ground.addresses)
    row = Row("states", f"server lost before the commit of each object: {ending.__name__} (no Pulumi CLI)", converged=0)
    tally.append(row)
    some = 5 if ending is ended else 1
    with ground.site() as site:
        for place, spec in enumerate(ground.specs):
            if place % some == 0:
                lose(ground, site, spec, ending)
                row.points += 1
            site.converge(spec)
    converge(ground)
    row.converged, row.commands = row.points, 1


def another_cluster(ground: Ground, folder: Path) -> Cluster:
    """Return a server that is not made yet, with the keys of the first one."""
    first = ground.cluster
    first.account.own(folder)
    programs = lay_out(folder, first.account, data_major(ground.platform.folder))
    cluster = Cluster(folder, programs, free_port(), first.account)
    shutil.copy2(first.root_key, cluster.root_key)
    first.account.own(cluster.root_key)
    return cluster


def base_backup(ground: Ground, cluster: Cluster) -> None:
    """Make the data of another server with pg_basebackup: a hot standby that follows the first one."""
    installed = find_installation()
    clients = clients_folder(installed)
    program = next(clients.glob("**/bin/pg_basebackup"), clients / "pg_basebackup")
    if not program.exists():
        missing("pg_basebackup")
    loader = next(clients.glob("**/*-linux-gnu*/ld-linux*.so.*"), None) if installed.private else None
    words = [loader, "--library-path", loader.parent, program] if loader else [program]
    with (ground.cluster.data / "pg_hba.conf").open("a") as file:
        file.write("local replication all trust\n")
    ground.reload()
    done = subprocess.run(
        [*words, "-D", cluster.data, "-R", "-X", "stream", "-c", "fast", "-d", ground.addresses.admin_url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cluster.data.chmod(0o700)
    cluster.account.own(cluster.data)


@dataclass
class Pair:
    """Two servers, the second one a standby of the first, and one address that leads to the first."""

    ground: Ground
    second: Cluster
    proxy: Proxy

    def url_of(self, port: int) -> str:
        return self.ground.addresses.database_url.replace(f":{self.ground.addresses.database_port}/", f":{port}/")

    @property
    def url(self) -> str:
        return self.url_of(self.proxy.server_address[1])

    def on_second(self, statement: str) -> None:
        url = f"postgresql://supabase_admin@/postgres?host={self.second.folder}&port={self.second.port}"
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(statement)

    def catch_up(self) -> None:
        """Wait until the standby has what the first server has."""
        (row,) = self.ground.by_hand("select pg_current_wal_lsn()::text as lsn")
        self.on_second(
            f"do $$ begin while pg_last_wal_replay_lsn() < '{row['lsn']}' loop perform pg_sleep(0.05); end loop; end $$"
        )

    def fail_over(self) -> None:
        """Lose the first server, and let the address lead to the second one, promoted."""
        self.proxy.cut()
        self.ground.cluster._control("stop", "-m", "immediate")
        self.second.start(QUIET)
        self.on_second("select pg_promote()")
        # Jobs connect to the port that they were made with; behind one name, both servers have the same.
        self.on_second(f"update cron.job set nodeport = {self.second.port}")
        self.proxy.server_port = self.second.port
        self.proxy.mend()


@pytest.fixture
def pair(ground: Ground, proxy_to_own: Proxy, pytestconfig: pytest.Config) -> Iterator[Pair]:
    """The platform, a standby of its, and a proxy in front of the first."""
    second = another_cluster(ground, short_folder(pytestconfig))
    try:
        base_backup(ground, second)
        second.start(QUIET)
        yield Pair(ground, second, proxy_to_own)
    finally:
        second.stop()
        shutil.rmtree(second.folder)
        ground.url, ground.changes = "", {}
        ground.cluster.stop()
        ground.cluster.start(ground.server)


@pytest.fixture
def proxy_to_own(own_ground: Ground) -> Iterator[Proxy]:
    """A proxy in front of the platform of its own."""
    with proxying(own_ground.addresses.database_port) as server:
        yield server


@pytest.mark.matrix
def test_a_hot_standby_answers_the_reading_commands_and_refuses_the_others(pair: Pair, tally: list[Row]):
    ground = pair.ground
    item(Site(ground.addresses, Database(read_database_url(ground.database_url))), "1 minute")
    pair.catch_up()
    ground.url = pair.url_of(pair.second.port)
    row = Row("states", "hot standby x commands (no Pulumi CLI)", converged=0)
    tally.append(row)

    answers = {command: ground.ask(*command) for command in (*READING, *ACTING)}

    for answer in answers.values():
        assert_sound(ground, answer)
    assert {command: answer.code for command, answer in answers.items() if answer.code == 3} == {}
    assert "missing: a writable server" in answers["doctor",].out
    assert "cron_scheduler_down" not in answers["doctor",].out
    assert "net._http_response is unlogged: a standby does not have its rows" in answers["doctor",].out
    assert "! prerequisites" in answers["drift",].out
    assert "1 waiting" in answers["status",].out
    assert answers["run-now",].code == 1
    assert "nothing was sent: [bubble_sync_processor] pg_net refused the request (SQLSTATE 25006)" in (
        answers["run-now",].err
    )
    with pytest.raises(PrerequisiteMissing, match="a writable server"):
        ground.up()
    row.points = row.converged = len(answers)


@pytest.mark.matrix
@pytest.mark.parametrize("data", ["the same", "older"])
def test_after_a_failover_one_run_converges_and_nothing_is_there_twice(pair: Pair, tally: list[Row], data: str):
    ground = pair.ground
    jobs = ground.by_hand(JOBIDS)
    row = Row("states", f"failover behind one name, {data} data (no Pulumi CLI)", points=1, converged=0, commands=1)
    tally.append(row)
    pair.catch_up()
    pair.second.stop()
    if data == "older":
        # What the second server will not have.
        ground.changes["retry"] = '{"schedule": "*/7 * * * *"}'
        ground.up()
    ground.url = pair.url
    assert ground.ask("drift").code == 0
    with ground.site() as site:
        site.db.read("reading", lambda conn: conn.execute("select 1"))
        pair.fail_over()
        assert ground.ask("drift").code == (1 if data == "older" else 0)
        for spec in ground.specs:
            site.converge(spec)

    converge(ground, up=False)
    with closing(Database(read_database_url(pair.url))) as database:
        found = database.read("reading", lambda conn: conn.execute(JOBIDS).fetchall())
    assert found == jobs
    row.converged = 1


@pytest.mark.matrix
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_failover_under_pgbouncer_costs_at_most_one_command(pair: Pair, tally: list[Row], mode: str):
    ground = pair.ground
    row = Row("states", f"failover under pgbouncer, {mode} mode (no Pulumi CLI)", points=1, converged=0)
    tally.append(row)
    pair.catch_up()
    pair.second.stop()
    with pgbouncer(ground.addresses, mode, "server_login_retry = 1\n", pair.proxy.server_address[1]) as port:
        ground.url = pair.url_of(port)
        assert ground.ask("drift").code == 0
        pair.fail_over()
        with ground.site() as site:
            tries = 1
            try:
                site.db.read("reading", lambda conn: conn.execute("select 1"))
            except Unreachable:
                tries += 1
        converge(ground)
    row.converged, row.commands = 1, tries


@pytest.mark.matrix
def test_a_full_disk_is_named_and_one_run_converges_when_there_is_room(
    pytestconfig: pytest.Config, tmp_path: Path, tally: list[Row]
):
    row = Row("states", "full disk x commands (no Pulumi CLI)", converged=0)
    tally.append(row)
    platform = Platform(short_folder(pytestconfig))
    with small_disk(160) as disk:
        try:
            platform.start(QUIET)
            ground = Ground(platform, tmp_path)
            ground.cluster.stop()
            shutil.move(ground.cluster.data, disk / "data")
            ground.cluster.data.symlink_to(disk / "data")
            ground.cluster.account.own(disk)
            ground.cluster.start(QUIET)
            ground.up()
            ground.by_hand("drop table bubble_sync.dispatches cascade", "checkpoint")
            fill(disk / "filler")
            for command in (*READING, *ACTING):
                assert_sound(ground, ground.ask(*command))
                row.points += 1
            with pytest.raises(PrerequisiteMissing, match=r"the server's disk is full\. Make room"):
                ground.up()
            (disk / "filler").unlink()
            converge(ground)
        finally:
            platform.remove()
    row.converged, row.commands = row.points, 1


def fill(file: Path) -> None:
    """Take all the room that is left."""
    with file.open("wb", buffering=0) as open_file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    open_file.write(bytes(size))
