"""The server that is probed: ours, or the one that CONTRACT_DSN names."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bubble_sync.local.platform import Platform

EXTENSIONS = {
    "pg_net": "create extension if not exists pg_net schema extensions",
    "supabase_vault": "create extension if not exists supabase_vault",
    "pg_cron": "create extension if not exists pg_cron",
}
PATIENCE = 20.0
Connection = psycopg.Connection[Any]


def wait_until(true: Callable[[], bool], patience: float = PATIENCE, pause: float = 0.01) -> bool:
    """Ask again and again until it is true, or say that it never was."""
    deadline, never = time.monotonic() + patience, threading.Event()
    while time.monotonic() < deadline:
        if true():
            return True
        never.wait(pause)
    return False


def quiet(seconds: float) -> None:
    """Let the worker's pause after a batch go by: nothing tells that it is over."""
    threading.Event().wait(seconds)


def refusal(connection: Connection, statement: str, parameters: Any = None) -> dict[str, Any]:
    """Run what should be refused, and return how it was; nothing of it is kept where it is not refused."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement, parameters)
    except psycopg.Error as problem:
        return {"sqlstate": problem.sqlstate, "message": problem.diag.message_primary}
    return {"sqlstate": None, "message": "not refused"}


def uses_background_workers(connection: Connection) -> bool:
    """Say in which of its two ways pg_cron runs jobs here."""
    (found,) = connection.execute("select current_setting('cron.use_background_workers')::boolean").fetchone()
    return bool(found)


@dataclass(frozen=True)
class Server:
    """How to come in, as whom, and what of it is ours to stop."""

    dsn: str
    admin_dsn: str | None
    platform: Platform | None
    caller_is_superuser: bool
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the platform that was stopped, as it was started first."""
        assert self.platform
        self.platform.start(self.settings)

    @contextmanager
    def connect(self, dsn: str | None = None) -> Iterator[Connection]:
        with psycopg.connect(dsn or self.dsn, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("set statement_timeout = '60s'")
            yield connection

    def versions(self) -> dict[str, str]:
        """Create the three extensions where they are missing, and return their versions."""
        with self.connect() as connection:
            for statement in EXTENSIONS.values():
                connection.execute(statement)
            rows = connection.execute(
                "select extname, extversion from pg_extension where extname = any(%s)", (list(EXTENSIONS),)
            )
            return dict(rows.fetchall())

    def postgresql(self) -> str:
        with self.connect() as connection:
            (version,) = connection.execute("show server_version").fetchone()
            return str(version)


@contextmanager
def our_server(settings: dict[str, str]) -> Iterator[Server]:
    """A platform of our own, where pg_cron runs what is scheduled."""
    platform = Platform(Path(tempfile.mkdtemp(prefix="bsc-")))
    try:
        addresses = platform.start(settings)
        yield Server(addresses.database_url, addresses.admin_url, platform, False, settings)
    finally:
        platform.remove()


def server_at(dsn: str) -> Server:
    """Somebody else's server: a superuser's probes change settings, roles and rights, and are for ours alone."""
    with psycopg.connect(dsn) as connection:
        (superuser,) = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    return Server(dsn, None, None, caller_is_superuser=superuser)


@contextmanager
def configured(admin: Connection, name: str, value: str) -> Iterator[None]:
    """A server setting that every process hears of, for a while."""
    admin.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(*name.split(".")), sql.Literal(value)))
    admin.execute("select pg_reload_conf()")
    try:
        yield
    finally:
        admin.execute(sql.SQL("alter system reset {}").format(sql.Identifier(*name.split("."))))
        admin.execute("select pg_reload_conf()")
