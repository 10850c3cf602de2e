"""Others at work in the database at the same time: sessions that hold locks, a person's statements, an application."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg

from bubble_sync.actions.requeue import carry_out, requeue_plan
from bubble_sync.actions.run_now import prepare_run, run_command
from bubble_sync.compare.diff import find
from bubble_sync.compare.drift import read_drift
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.converge import lifecycle
from bubble_sync.database.database import Database
from bubble_sync.database.snapshot import read_snapshot
from bubble_sync.errors import SyncError
from bubble_sync.health.doctor import doctor
from bubble_sync.health.status import status
from bubble_sync.health.verify import verify
from bubble_sync.key.status import key_in_database
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import CronJobSpec, Owner, Spec, TriggerSpec, VaultSecretSpec, compare
from tests.fixtures.breaking import SECRET_KEY, working
from tests.fixtures.meanwhile import meanwhile
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

SETTINGS = working(
    processor='{"wake": true}',
    history='{"keepDays": 30}',
    alerts="{}",
    alertWebhookUrl="https://hooks.example.com/x",
    projectRef=None,
    supabaseUrl="http://127.0.0.1:9",
)
WANTED: Sequence[Spec] = desired_state(SETTINGS, Owner(STACK))
INSERT = """
    insert into public.sync_queue (table_name, record_id, operation) values ('user', gen_random_uuid()::text, 'INSERT')
"""
FAILED = """
    insert into public.sync_queue (table_name, record_id, operation, status, retry_count)
    select 'user', gen_random_uuid()::text, 'INSERT', 'failed', 9 from generate_series(1, 20)
"""
#: Changes by hand of every kind of object, which `up` repairs.
DRIFTS: Mapping[str, str] = {
    "ledger": "grant select on bubble_sync.dispatches to anon",
    "function public.invoke_bubble_sync_retry": "create or replace function public.invoke_bubble_sync_retry() "
    "returns void language plpgsql as 'begin null; end'",
    "function bubble_sync.record": "comment on function bubble_sync.record is 'theirs'",
    "job bubble-sync-processor": "select cron.alter_job(jobid, schedule => '9 9 9 9 *') from cron.job "
    "where jobname = 'bubble-sync-processor'",
    "secret supabase_url": "select vault.update_secret(id, 'https://other.example') from vault.secrets "
    "where name = 'supabase_url'",
    "trigger bubble_sync_wake": "alter table public.sync_queue disable trigger bubble_sync_wake",
}
_WAITED = re.compile(r"process \d+ acquired (\w+) on relation \d+ of database \d+ after ([\d.]+) ms")


@contextmanager
def another(site: Site, names: NameSettings | None = None) -> Iterator[Database]:
    """Give a database of its own, as another process has it."""
    with closing(Database(read_database_url(site.addresses.database_url), names)) as database:
        yield database


def up(database: Database, wanted: Sequence[Spec] = WANTED, claim: str = "") -> None:
    """Do what a plain `up` does: read everything, then converge object by object; the first error ends both."""
    for spec in wanted:
        database.read(f"reading {spec.object_name}", lambda conn, spec=spec: lifecycle.observe(conn, spec))  # type: ignore[misc]
    for spec in wanted:
        database.change(
            f"converging {spec.object_name}",
            lambda conn, spec=spec: lifecycle.converge(conn, spec, claim=claim),  # type: ignore[misc]
        )


def drifted(site: Site, wanted: Sequence[Spec] = WANTED) -> set[str]:
    """Return the objects that differ in one moment."""
    parts = {part for spec in wanted for part in lifecycle.sections_of(spec)}
    with another(site) as database:
        found = database.read("reading", lambda conn: read_snapshot(conn, sorted(parts), wanted))
    return {spec.object_name for spec in wanted if compare(spec, lifecycle.observe_in(spec, found))}


@dataclass
class Work:
    """Commands as they change and read the database, each with a connection of its own."""

    site: Site
    settings: StackSettings = SETTINGS
    wanted: Sequence[Spec] = WANTED

    @property
    def commands(self) -> Mapping[str, Callable[[Database], object]]:
        """Return each command by its name."""
        return {
            "up": lambda db: up(db, self.wanted),
            "up again": lambda db: up(db, self.wanted),
            "pause": lambda db: self._jobs(db, active=False),
            "resume": lambda db: self._jobs(db, active=True),
            "rotate": self._rotate,
            "requeue": lambda db: carry_out(db, requeue_plan(db, None)),
            "run-now": lambda db: run_command(db, prepare_run(db, STACK), STACK, lambda notice: None),
            "history": lambda db: _call(db, "select bubble_sync.delete_old_runs()"),
            "alerts": lambda db: _call(db, "select bubble_sync.alert()"),
            "verify": lambda db: verify(db, self.settings, STACK, None),
            "doctor": lambda db: doctor(db, self.settings, STACK),
            "status": lambda db: status(db, self.settings, STACK),
            "drift": lambda db: db.read("reading the stack", lambda conn: read_drift(conn, self.wanted)),
            "diff": lambda db: find(db, self.wanted),
        }

    def _jobs(self, database: Database, *, active: bool) -> None:
        """Converge jobs and trigger as the targeted `up` of pause and resume does."""
        enabled = "origin" if active else "disabled"
        for spec in self.wanted:
            if isinstance(spec, CronJobSpec):
                wanted: Spec = spec.model_copy(update={"active": active})
            elif isinstance(spec, TriggerSpec):
                wanted = spec.model_copy(update={"enabled": enabled})
            else:
                continue
            database.change(
                f"converging {wanted.object_name}",
                lambda conn, wanted=wanted: lifecycle.converge(conn, wanted),  # type: ignore[misc]
            )

    def _rotate(self, database: Database) -> None:
        key_in_database(database, self.settings)
        (secret,) = (one for one in self.wanted if isinstance(one, VaultSecretSpec) and one.value == SECRET_KEY)
        rotated = secret.model_copy(update={"value": f"sb_secret_{secrets.token_hex(8)}"})
        database.change("rotating", lambda conn: lifecycle.converge(conn, rotated))


def _call(database: Database, statement: str) -> None:
    with database.operation("running a job's command") as conn:
        conn.execute(statement.encode())


@dataclass
class Outcome:
    """The end of a command."""

    seconds: float
    problem: SyncError | None


def at_once(site: Site, commands: Mapping[str, Callable[[Database], object]]) -> dict[str, Outcome]:
    """Start the commands in the same moment, each as a process of its own, and return how each ended."""
    ended: dict[str, Outcome] = {}
    start = threading.Barrier(len(commands))

    def run(name: str, command: Callable[[Database], object]) -> None:
        with another(site) as database:
            start.wait()
            began, problem = time.monotonic(), None
            try:
                command(database)
            except SyncError as refused:
                problem = refused
            ended[name] = Outcome(time.monotonic() - began, problem)

    threads = [threading.Thread(target=run, args=one) for one in commands.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == len(commands), "a command ended with another error than ours"
    return ended


@contextmanager
def repeating(site: Site, statements: Sequence[str], pause: float = 0.01) -> Iterator[list[int]]:
    """Run a person's statements again and again as long as the block lasts; give the count of those that won."""
    won = [0]

    def hammer(stop: threading.Event) -> None:
        with psycopg.connect(site.addresses.database_url, autocommit=True, application_name="editor") as conn:
            while not stop.is_set():
                for statement in statements:
                    try:
                        conn.execute(statement.encode())
                        won[0] += 1
                    except psycopg.DatabaseError:
                        continue  # theirs may lose too
                    finally:
                        stop.wait(pause)

    with meanwhile(hammer):
        yield won


@dataclass
class Inserts:
    """What the application's inserts went through."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    log: ServerLog | None = None

    def waits(self) -> list[tuple[str, float]]:
        """Return the waits of over 5 ms for a lock on a table, by the server's own clock: mode and milliseconds."""
        assert self.log is not None
        return [(mode, float(ms)) for mode, ms in _WAITED.findall(self.log.appended)]


@contextmanager
def inserting(site: Site, log: ServerLog, lock_timeout: str) -> Iterator[Inserts]:
    """Insert into the queue all the time, as the application does; the server logs each wait of over 5 ms."""
    begun, inserts = threading.Event(), Inserts(log=log)
    options = f"-c deadlock_timeout=5ms -c log_lock_waits=on -c lock_timeout={lock_timeout}"

    def insert(stop: threading.Event) -> None:
        with psycopg.connect(site.addresses.admin_url, autocommit=True, options=options) as conn:
            conn.execute("set session authorization service_role")
            while not stop.wait(0.001):
                try:
                    conn.execute(INSERT)
                    inserts.done += 1
                except psycopg.DatabaseError as problem:
                    inserts.failed.append(str(problem))
                begun.set()

    with meanwhile(insert):
        assert begun.wait(30), "no insert begins"
        yield inserts
