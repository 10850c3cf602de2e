"""A stack's life with canaries for secrets, on a server that logs all it can; what it leaves goes to the search."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from bubble_sync.local.addresses import ADDRESSES_FILE, Addresses
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.account import private_folder, server_account
from bubble_sync.local.postgres.installation import find_installation
from bubble_sync.local.stack import prepare_stack
from tests.canaries import places
from tests.canaries.places import Canary, Search, canary
from tests.canaries.watch import unlogged
from tests.fixtures.specs import jwt
from tests.fixtures.stack import CHECKOUT, DRIFTED, Stack

PRELOADED = ("pg_cron", "pg_stat_statements", "auto_explain", "pg_net", "supabase_vault")
_OF_PULUMI = {"pulumi": places.CLI_LOGS, "trace": places.TRACES, "events": places.EVENTS}
#: As talkative as a server gets, and nothing it wrote is recycled or rewritten before it is read.
SETTINGS = {
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_min_error_statement": "debug5",
    "log_connections": "on",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "pg_stat_statements.track": "all",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_parameter_max_length": "-1",
    "auto_explain.log_triggers": "on",
    "log_error_verbosity": "verbose",
    "track_activity_query_size": "64kB",
    "wal_level": "logical",
    "full_page_writes": "on",
    "wal_keep_size": "4GB",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Secrets:
    """The canaries of one life."""

    key: Canary
    rotated: Canary
    password: Canary
    monitor: Canary
    key_by_hand: Canary
    url_by_hand: Canary
    webhook: Canary
    heartbeat: Canary
    pager_duty: Canary
    opsgenie: Canary
    control: Canary

    @classmethod
    def fresh(cls) -> Secrets:
        """Make them; the legacy key has its mark in its claims, in base64, and in its signature."""
        claims = canary(places.KEY)
        return cls(
            key=replace(claims, value=jwt(jti=claims.mark, ref=None).removesuffix("signature") + claims.mark),
            rotated=canary(places.ROTATED, "sb_secret_{mark}"),
            password=canary(places.PASSWORD, "{mark}"),
            monitor=canary(places.MONITOR),
            key_by_hand=canary(places.KEY_BY_HAND),
            url_by_hand=canary(places.URL_BY_HAND, "https://{mark}.supabase.co"),
            webhook=canary(places.WEBHOOK, "http://127.0.0.1:1/services/{mark}"),
            heartbeat=canary(places.HEARTBEAT, "http://127.0.0.1:1/beats/{mark}"),
            pager_duty=canary(places.PAGER_DUTY, "{mark}"),
            opsgenie=canary(places.OPSGENIE, "{mark}"),
            control=canary(places.CONTROL),
        )

    @property
    def every(self) -> tuple[Canary, ...]:
        return (
            self.key, self.rotated, self.password, self.monitor, self.key_by_hand, self.url_by_hand, self.webhook,
            self.heartbeat, self.pager_duty, self.opsgenie, self.control,
        )  # fmt: skip


@dataclass
class Life:
    """One platform and its stack; each command's words, and what Pulumi wrote, are searched at once."""

    platform: Platform
    stack: Stack
    secrets: Secrets
    search: Search
    scratch: Path

    @property
    def addresses(self) -> Addresses:
        return self.platform.addresses()

    def pulumi(self, *command: str, expect: int = 0, place: str = places.OUTPUT, says: str = "") -> None:
        """Run a Pulumi command, which must end as expected and say a word."""
        done = self.stack.local.pulumi(*command, config=command[0] not in ("cancel", "stack"))
        for text in (done.stdout, done.stderr):
            self.search.look(place, text, shlex.join(command))
        assert done.returncode == expect, (command, done.stdout, done.stderr)
        assert says in done.stdout + done.stderr, (command, done.stdout, done.stderr)
        self.look_at_files()

    def up(self, *options: str, expect: int = 0, says: str = "") -> None:
        self.pulumi("up", "--yes", "--skip-preview", *options, expect=expect, says=says)

    def command(self, line: str, expect: int | None = 0, given: str | None = None) -> str:
        """Run a command of ours in the checkout, with a key on its standard input where it takes one.

        None expects 0 or 1.
        """
        line = line.format(stack=shlex.join(self.stack.local.arguments), scratch=self.scratch)
        done = subprocess.run(
            ["bubble-sync", *shlex.split(line)], cwd=CHECKOUT, env=dict(self.stack.local.environment),
            input=given or "", capture_output=True, text=True, check=False,
        )  # fmt: skip
        for text in (done.stdout, done.stderr):
            self.search.look(places.COMMANDS, text, line)
        assert done.returncode in ((0, 1) if expect is None else (expect,)), (line, done.stdout, done.stderr)
        return done.stdout

    def look_at_files(self) -> None:
        """Search what Pulumi has written so far."""
        backend = self.platform.folder / "pulumi"
        for path in backend.rglob("*"):
            if path.is_file():
                self.search.look(_place_of(path.relative_to(backend)), path.read_bytes(), path.name)

    def by_hand(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as the superuser and return the last one's rows."""
        with psycopg.connect(self.addresses.admin_url, autocommit=True) as session:
            for statement in statements:
                cursor = session.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def store_by_hand(self, name: str, value: str) -> None:
        """Change a secret's value as nothing but its reader can tell: what is found later was put there by us."""
        with psycopg.connect(self.addresses.admin_url) as session:
            unlogged(session)
            session.execute("create temporary table given (value text) on commit drop")
            with session.cursor().copy("copy given from stdin") as copy:
                copy.write_row((value,))
            session.execute(
                "select vault.update_secret(id, (select value from given)) from vault.secrets where name = %s", (name,)
            )

    def run_job(self, says: str) -> None:
        """Run the processor's command as pg_cron would; everything the server says about it is searched."""
        said: list[str] = []
        with psycopg.connect(self.addresses.database_url, autocommit=True) as session:
            session.add_notice_handler(lambda notice: said.append(_all_of(notice)))
            try:
                session.execute("SELECT public.invoke_bubble_sync_processor()")
            except psycopg.Error as error:
                said += [str(error), _all_of(error.diag)]
        self.search.look(places.MESSAGES, "\n".join(said))
        assert says in "\n".join(said), said

    def wait_until(self, there_is: str, seconds: float = 130) -> None:
        """Wait until a query has a row."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while self.by_hand(f"select exists (select {there_is})") == [(False,)]:
            assert time.monotonic() < deadline, f"there never was: {there_is}"
            pause.wait(0.2)

    def look_at_database(self) -> None:
        """Search what the running server tells."""
        with psycopg.connect(self.addresses.admin_url, autocommit=True) as session:
            unlogged(session)
            for place, text in (
                (places.JOBS, "select job::text from cron.job as job"),
                (places.RUNS, "select run::text from cron.job_run_details as run"),
                (places.QUEUE, "select request::text from net.http_request_queue as request"),
                (places.STATEMENTS, "select query from pg_stat_statements"),
            ):
                if place != places.STATEMENTS or has_statements():
                    self.search.look(place, "\n".join(str(row) for (row,) in session.execute(text)))

    def stop_and_look(self) -> None:
        """Stop the server, which then has written every page, and search its files and logs."""
        with psycopg.connect(self.addresses.admin_url, autocommit=True) as session:
            unlogged(session)
            queue = session.execute(
                "select pg_relation_filepath(oid) from pg_class where oid = 'net.http_request_queue'::regclass "
                "or oid = (select reltoastrelid from pg_class where oid = 'net.http_request_queue'::regclass)"
            ).fetchall()
        self.platform.stop()
        data = self.platform.folder / "data"
        for path in data.rglob("*"):
            if path.is_file():
                name = str(path.relative_to(data))
                self.search.look(_place_in_data(name, [str(one) for (one,) in queue]), path.read_bytes(), name)
        server, *services = self.platform.status().parts
        self.search.look(places.SERVER_LOG, server.log.read_bytes())
        for log in (*(each.log for each in services), self.platform.status().request_log):
            self.search.look(places.SERVICES, log.read_bytes(), log.name)
        for name in (ADDRESSES_FILE, "environment"):
            path = self.platform.folder / name
            self.search.look(places.PLATFORM, path.read_bytes(), name)
            assert path.stat().st_mode & 0o077 == 0, f"{name} is its owner's alone"
        for path in self.scratch.rglob("*"):
            if path.is_file() and self.platform.folder not in path.parents:
                name = path.name.split(".")[0] if path.parent == self.scratch else ""
                place = _OF_PULUMI.get(name, places.HOME)
                self.search.look(place, path.read_bytes(), str(path.relative_to(self.scratch)))


def has_statements() -> bool:
    """Say whether pg_stat_statements is installed here (Debian: a part of the server's package)."""
    return (find_installation().lib / "pg_stat_statements.so").exists()


@contextmanager
def living(scratch: Path, secrets: Secrets, search: Search) -> Iterator[Life]:
    """Start a platform whose password and keys are canaries, and prepare its stack; TMPDIR must be `scratch`."""
    platform = Platform.for_checkout(CHECKOUT)
    private_folder(platform.folder, server_account())
    canaries = {"password": secrets.password.value, "service_role_key": secrets.key.value}
    drawn = Addresses.fresh(platform.folder).model_copy(update={**canaries, "secret_key": secrets.rotated.value})
    drawn.save()
    library = find_installation().lib
    preloaded = ", ".join(name for name in PRELOADED if (library / f"{name}.so").exists())
    try:
        addresses = platform.start({**SETTINGS, "shared_preload_libraries": preloaded})
        local = prepare_stack(addresses, CHECKOUT)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        # The last one is for --event-log.
        added = {"PATH": path, "PULUMI_EXPERIMENTAL": "true", "PULUMI_DEBUG_COMMANDS": "true"}
        local = replace(local, environment={**local.environment, **added})
        life = Life(platform, Stack(local), secrets, search, scratch)
        if has_statements():
            life.by_hand("create extension if not exists pg_stat_statements")
        yield life
    finally:
        platform.remove()


def drift(life: Life, *options: str) -> None:
    life.pulumi("preview", "--expect-no-changes", *options, expect=DRIFTED)


def _all_of(diagnostic: psycopg.errors.Diagnostic) -> str:
    names = ("severity", "message_primary", "message_detail", "message_hint", "context", "internal_query")
    return "\n".join(str(getattr(diagnostic, name)) for name in names)


def _place_of(path: Path) -> str:
    if "state" not in path.parts:
        return places.CONFIGURATION
    for part, place in (("stacks", places.STATE), ("history", places.HISTORY), ("backups", places.BACKUPS)):
        if part in path.parts:
            return place
    return places.BACKEND


def _place_in_data(name: str, queue: list[str]) -> str:
    if name.startswith("pg_wal/"):
        return places.WAL
    mine = any(name == one or name.startswith((f"{one}_", f"{one}.")) for one in queue)
    return places.QUEUE_FILES if mine else places.HEAP
