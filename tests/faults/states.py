"""A server of its own that gets into each state, and every command of ours asked meanwhile."""

from __future__ import annotations

import contextvars
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from bubble_sync.cli.main import run
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import ConfigValue, StackSettings, read_settings
from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.database.database import Database
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.cluster import Cluster
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, Spec
from tests.fixtures.guard import short_folder
from tests.fixtures.platform import SETTINGS, reset
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT
from tests.fixtures.tools import missing

STACK = "local"
URL_VARIABLE = "BUBBLE_SYNC_STATES_DATABASE_URL"
READING: tuple[tuple[str, ...], ...] = (
    (), ("status",), ("verify",), ("doctor",), ("runs",), ("failures",), ("metrics",), ("diff",), ("drift",),
    ("key", "status"), ("trace", "nothing"),
)  # fmt: skip
FEW: tuple[tuple[str, ...], ...] = (("status",), ("doctor",), ("drift",), ("run-now",))
"""What a sample asks."""
ACTING: tuple[tuple[str, ...], ...] = (("run-now",), ("requeue", "--dead", "--yes"), ("release-stalled", "--yes"))
#: A line for a SQLSTATE of which the product knows no cause; no state may need one.
UNKNOWN = "PostgreSQL refused it"
QUIET = {"cron.host": "/nowhere", "cron.log_run": "off"}


@dataclass(frozen=True)
class Answered:
    """What a command printed, and its exit code."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass
class Ground:
    """A platform, the stack's settings, and what a person does with both."""

    platform: Platform
    scratch: Path
    url: str = ""
    """The database URL where it is not the platform's own."""
    answers: list[Answered] = field(default_factory=list)
    changes: dict[str, str] = field(default_factory=dict)
    """Keys of the configuration that a test adds."""
    server: Mapping[str, str] = field(default_factory=lambda: QUIET)
    """The settings with which the server starts."""

    END_SESSIONS = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'postgres'"

    @property
    def addresses(self) -> Addresses:
        return self.platform.addresses()

    @property
    def cluster(self) -> Cluster:
        found = self.platform._cluster(self.addresses)
        assert found is not None
        return found

    @property
    def config(self) -> dict[str, ConfigValue]:
        return {
            "supabaseUrl": ConfigValue(self.addresses.endpoint_url, False),
            "databaseUrlEnv": ConfigValue(URL_VARIABLE, False),
            "serviceRoleKey": ConfigValue(self.addresses.secret_key, True),
            **{key: ConfigValue(text) for key, text in self.changes.items()},
        }

    @property
    def settings(self) -> StackSettings:
        return read_settings(self.config)

    @property
    def specs(self) -> list[Spec]:
        return list(desired_state(self.settings, Owner(STACK)))

    @property
    def database_url(self) -> str:
        return self.url or self.addresses.database_url

    @contextmanager
    def site(self) -> Iterator[Site]:
        with closing(Database(read_database_url(self.database_url))) as database:
            yield Site(self.addresses, database)

    def up(self) -> None:
        """Converge every object with the provider's own code."""
        with self.site() as site:
            for spec in self.specs:
                site.converge(spec)

    def by_hand(self, *statements: str) -> list[dict[str, object]]:
        with self.site() as site:
            return site.by_hand(*statements)

    @contextmanager
    def restarted(self, before: Callable[[], object] = lambda: None, **settings: str) -> Iterator[None]:
        """Restart the server with other settings; restart it as it was at the end of the block."""
        self.cluster.stop()
        before()
        self.cluster.start({**self.server, **settings})
        try:
            yield
        finally:
            self.cluster.stop()
            self.cluster.start(self.server)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the server as long as the block lasts."""
        self.cluster.stop()
        try:
            yield
        finally:
            self.cluster.start(self.server)

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Let the server wait, as long as the block lasts, for a session to end before it stops."""
        with psycopg.connect(self.addresses.admin_url):
            self.cluster._control("stop", "-m", "smart", "--no-wait")
            self._wait_for("shutting down")
            try:
                yield
            finally:
                self.cluster.stop()
        self.cluster.start(self.server)

    def reload(self) -> None:
        """Let the server read its configuration again, and wait until it has."""
        (before,) = self.by_hand("select pg_conf_load_time() as at, pg_reload_conf()")
        pause = threading.Event()
        for _ in range(200):
            if self.by_hand("select pg_conf_load_time() as at") != [{"at": before["at"]}]:
                return
            pause.wait(0.05)
        pytest.fail("the server does not read its configuration")

    def start_without_waiting(self, settings: Mapping[str, str]) -> None:
        """Start the server, which may not take sessions yet."""
        self.cluster._configure({**self.server, **settings})
        self.cluster._control("start", "-l", str(self.cluster.log), "--no-wait")
        self._wait_for("starting up|recover|not accepting|not yet accepting")

    def _wait_for(self, text: str) -> None:
        """Wait until the server refuses sessions with a text."""
        pause = threading.Event()
        words = ""
        for _ in range(200):
            try:
                psycopg.connect(self.addresses.admin_url).close()
            except psycopg.OperationalError as refused:
                words = str(refused)
                if re.search(text, words):
                    return
            pause.wait(0.05)
        pytest.fail(f"the server does not refuse sessions with {text}: {words}")

    def wait_until_up(self) -> None:
        """Wait until a server that crashed takes sessions again."""
        pause = threading.Event()
        for _ in range(400):
            try:
                psycopg.connect(self.url or self.addresses.admin_url).close()
            except psycopg.OperationalError:
                pause.wait(0.05)
            else:
                return
        pytest.fail("the server does not come back")

    def wait_until_gone(self, pid: int) -> None:
        """Wait until a session has ended."""
        self.by_hand(
            f"""
            do $$ begin
                for attempt in 1 .. 400 loop
                    exit when not exists (select from pg_stat_activity where pid = {pid});
                    perform pg_sleep(0.02), pg_stat_clear_snapshot();
                end loop;
            end $$
            """
        )

    def kill_backend(self, pid: int) -> None:
        """Kill a session's process, at which the whole server crashes and recovers."""
        os.kill(pid, signal.SIGKILL)

    @contextmanager
    def all_connections(self, url: str) -> Iterator[None]:
        """Hold every connection that this URL gives."""
        with ExitStack() as held:
            with suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(psycopg.connect(url))
            yield

    def file_of(self, relation: str) -> Path:
        """Return the file of a relation."""
        (row,) = self.by_hand(f"select pg_relation_filepath('{relation}') as path")
        return self.cluster.data / str(row["path"])

    def ask(self, *command: str) -> Answered:
        """Run a command of ours in this process."""
        variables = {
            CONFIG_VARIABLE: json.dumps(
                {f"bubble-sync:{key}": {"value": one.text, "secret": one.secret} for key, one in self.config.items()}
            ),
            URL_VARIABLE: self.database_url,
        }
        file = self.scratch / "Pulumi.local.yaml"
        file.touch()
        files = [self.scratch / name for name in ("out", "err")]
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.chdir(CHECKOUT)
            patch.setattr(sys, "argv", ["bubble-sync", *command, "--stack", STACK, "--config-file", str(file)])
            for name, path in zip(("stdout", "stderr"), files, strict=True):
                patch.setattr(sys, name, stack.enter_context(path.open("w")))
            patch.setattr(sys, "stdin", stack.enter_context(Path(os.devnull).open()))
            with pytest.raises(SystemExit) as ended:
                contextvars.copy_context().run(run)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        code = ended.value.code
        answer = Answered(command, code if isinstance(code, int) else 0, *(path.read_text() for path in files))
        self.answers.append(answer)
        return answer


def assert_sound(ground: Ground, answer: Answered) -> None:
    """Hold an answer to what each must be: an exit code, one line of error, no traceback, no secret."""
    shown = f"{answer}"
    assert answer.code in (0, 1, 3), shown
    assert not re.search(r"Traceback|a bug of bubble-sync", answer.text), shown
    assert UNKNOWN not in answer.text, shown
    assert "gave up on it with SQLSTATE" not in answer.text, shown
    for secret in (ground.addresses.password, ground.addresses.secret_key, ground.addresses.service_role_key):
        assert secret not in answer.text
    if answer.code == 3:
        assert re.fullmatch(r"error: \S[^\n]*\.\n", answer.err), shown


def converge(ground: Ground, *, up: bool = True) -> None:
    """Run `up` once, after which nothing differs."""
    ground.wait_until_up()
    if up:
        ground.up()
    again = ground.ask("diff")
    assert "15 equal; nothing to do" in again.out, again
    assert ground.ask("drift").code == 0


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a small file system for the server's account."""
    folder = Path(tempfile.mkdtemp(prefix="bsd-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], capture_output=True, check=False
    )
    try:
        if mounted.returncode:
            missing("the right to mount a file system")
        folder.chmod(0o755)
        yield folder
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@contextmanager
def full_tablespace(ground: Ground) -> Iterator[str]:
    """Make a tablespace on a small disk, for the hosted role."""
    with small_disk(1) as disk:
        place = disk / "tablespace"
        place.mkdir(mode=0o700)
        ground.cluster.account.own(place)
        ground.by_hand(f"create tablespace small location '{place}'", "grant create on tablespace small to postgres")
        try:
            yield "small"
        finally:
            ground.by_hand("drop tablespace small")


@pytest.fixture(scope="session")
def own_ground(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A platform of its own, with a stack that is up."""
    platform = Platform(short_folder(pytestconfig))
    try:
        platform.start(QUIET)
        yield Ground(platform, tmp_path_factory.mktemp("states"))
    finally:
        platform.remove()


@pytest.fixture
def ground(own_ground: Ground) -> Ground:
    """The platform of its own as good as new, with a stack that is up."""
    reset(own_ground.addresses)
    own_ground.up()
    return own_ground


@pytest.fixture
def shared(platform: Platform, database: Addresses, tmp_path: Path) -> Ground:
    """The platform of the whole run."""
    ground = Ground(platform, tmp_path, server=SETTINGS)
    ground.by_hand(Ground.END_SESSIONS)
    return ground
