"""Run transactions and translate psycopg's errors; all database access goes through this module."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from bubble_sync.config.database_url import DatabaseAddress
from bubble_sync.database import blockers
from bubble_sync.database.connection import Connection as Connection
from bubble_sync.database.connection import Pool
from bubble_sync.database.errors import refusal
from bubble_sync.database.transactions import How, begin, rolled_back
from bubble_sync.errors import ConfigurationError, SyncError, Unreachable

Row = dict[str, Any]
T = TypeVar("T")

_NO_MORE_WAITING: LiteralString = "set local lock_timeout = '1ms'"
_ATTEMPTS = 10
"""Attempts of a change that loses to another session's."""


class Database:
    """One database, with a pool of connections that open on demand."""

    def __init__(self, address: DatabaseAddress) -> None:
        """Store the address without connecting."""
        self._pool = Pool(address)
        # Our threads wait here, so that lock_timeout only measures other sessions.
        self._changing = threading.Lock()

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-only transaction with local timeouts; retry after a lost race."""

        def once() -> T:
            with self._begun(doing, "reading") as conn:
                return work(conn)

        return self._until_won(doing, once)

    def change(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` as one change; retry all of it after a lost race."""

        def once() -> T:
            with self.transaction(doing) as conn:
                return work(conn)

        return self._until_won(doing, once)

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """Run a block as one change: with our lock and local timeouts, all or nothing."""
        with self._changing, self._begun(doing, "change") as conn:
            yield conn
            conn.commit()

    @contextmanager
    def operation(self, doing: str) -> Iterator[Connection]:
        """Run a block that changes no object of a stack, without our lock, like pg_cron or the application."""
        with self._begun(doing, "operation") as conn:
            yield conn
            conn.commit()

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _until_won(self, doing: str, once: Callable[[], T]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return once()
            except SyncError as error:
                if not error.lost_race:
                    raise
                lost = error
            # Random, so that two competing sessions do not collide again.
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
        with self._begun(doing, "reading") as conn:
            who = blockers.changing(conn)
        raise type(lost)(f"{lost} Gave up after {_ATTEMPTS} attempts; {who}.")

    @contextmanager
    def _begun(self, doing: str, how: How) -> Iterator[Connection]:
        """Run a block in a transaction, and roll back uncommitted work."""
        conn = self._ready(doing, how)
        try:
            with translated(doing, conn), rolled_back(conn):
                yield conn
        finally:
            self._pool.give_back(conn)

    def _ready(self, doing: str, how: How) -> Connection:
        """Return a connection with a new transaction."""
        while True:
            conn, used = self._pool.take()
            try:
                with translated(doing, conn):
                    begin(conn, how)
            except BaseException as error:
                self._pool.give_back(conn)
                # The connection was lost before any work, so a retry is safe.
                if not (isinstance(error, Unreachable) and used and conn.closed):
                    raise
            else:
                return conn


@contextmanager
def savepoint(conn: Connection) -> Iterator[None]:
    """Run a block in a savepoint; after a lock timeout, later statements do not wait for locks."""
    try:
        with conn.transaction():
            yield
    except errors.LockNotAvailable:
        conn.execute(_NO_MORE_WAITING)
        raise


def fetch(conn: Connection, text: LiteralString, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """Return all rows, or none for a missing table or schema; the transaction survives an error."""
    try:
        return attempt(conn, text, parameters)
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return []


def attempt(conn: Connection, text: LiteralString, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """Return all rows; the transaction survives an error, which is raised."""
    try:
        # One round trip: every query sets a savepoint, few roll back to it.
        with conn.pipeline():
            conn.execute("savepoint fetching")
            cursor = conn.execute(text, parameters)
            conn.execute("release savepoint fetching")
        return cursor.fetchall()
    except psycopg.DatabaseError as error:
        if conn.info.transaction_status == TransactionStatus.INERROR:
            conn.execute("rollback to savepoint fetching")
            if isinstance(error, errors.LockNotAvailable):
                conn.execute(_NO_MORE_WAITING)
        raise


def holders_of_lock(conn: Connection, error: psycopg.Error) -> str:
    """Describe the holder of the lock behind `error`; return "" for other errors, or when unknown."""
    status = conn.info.transaction_status
    if not isinstance(error, errors.LockNotAvailable):
        return ""
    try:
        if status == TransactionStatus.INTRANS:
            return blockers.lock_holders(conn, error)
        if status == TransactionStatus.IDLE:
            begin(conn, "reading")
            with rolled_back(conn):
                return blockers.lock_holders(conn, error)
    except psycopg.Error:
        return ""
    return ""


@contextmanager
def translated(doing: str, conn: Connection | None = None) -> Iterator[None]:
    """Translate psycopg's errors into ours; `doing` names the action and its object."""
    try:
        yield
    except UnicodeEncodeError:
        raise ConfigurationError(f"{doing}: the input is not valid UTF-8. Type it again.") from None
    except psycopg.Error as error:
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError | psycopg.DataError):
            raise  # neither a server nor a network error: our own bug
        reason = refusal(doing, error, holders_of_lock(conn, error) if conn else "")
    else:
        return
    raise reason from None
