"""The only way to the database: one transaction a change, our errors instead of psycopg's."""

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
"""So often a change is begun that loses to another session's."""


class Database:
    """One database, with the connections that its threads need at once, made when first needed."""

    def __init__(self, address: DatabaseAddress) -> None:
        """Remember the address; nothing is opened yet."""
        self._pool = Pool(address)
        # Our own threads queue here, so that the wait for another session's lock counts that session alone.
        self._changing = threading.Lock()

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-only transaction with local timeouts; begin it anew when it loses a race."""

        def once() -> T:
            with self._begun(doing, "reading") as conn:
                return work(conn)

        return self._until_won(doing, once)

    def change(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` as one change; begin it anew, whole, when another session's change has overtaken it."""

        def once() -> T:
            with self.transaction(doing) as conn:
                return work(conn)

        return self._until_won(doing, once)

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """Run a block as one change: our lock, local timeouts, all or nothing."""
        with self._changing, self._begun(doing, "change") as conn:
            yield conn
            conn.commit()

    @contextmanager
    def operation(self, doing: str) -> Iterator[Connection]:
        """Run a block that changes no object of a stack, as pg_cron or the application would: without our lock."""
        with self._begun(doing, "operation") as conn:
            yield conn
            conn.commit()

    def close(self) -> None:
        """Close the connections that no thread is using."""
        self._pool.close()

    def _until_won(self, doing: str, once: Callable[[], T]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return once()
            except SyncError as error:
                if not error.lost_race:
                    raise
                lost = error
            # By chance, so that two who do the same do not meet again.
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
        with self._begun(doing, "reading") as conn:
            who = blockers.changing(conn)
        raise type(lost)(f"{lost} It was tried {_ATTEMPTS} times; {who}.")

    @contextmanager
    def _begun(self, doing: str, how: How) -> Iterator[Connection]:
        """Run a block in a transaction, and roll back what the block has not committed."""
        conn = self._ready(doing, how)
        try:
            with translated(doing, conn), rolled_back(conn):
                yield conn
        finally:
            self._pool.give_back(conn)

    def _ready(self, doing: str, how: How) -> Connection:
        """Return a connection in a transaction that has just begun."""
        while True:
            conn, used = self._pool.take()
            try:
                with translated(doing, conn):
                    begin(conn, how)
            except BaseException as error:
                self._pool.give_back(conn)
                # Lost before anything was done: the outcome is known, so that beginning again is safe.
                if not (isinstance(error, Unreachable) and used and conn.closed):
                    raise
            else:
                return conn


@contextmanager
def savepoint(conn: Connection) -> Iterator[None]:
    """Run a block after whose error, which is raised, the transaction goes on; it waits for one lock and no more."""
    try:
        with conn.transaction():
            yield
    except errors.LockNotAvailable:
        conn.execute(_NO_MORE_WAITING)
        raise


def fetch(conn: Connection, text: LiteralString, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """Return all rows, none when a table or schema is not there; after an error the transaction goes on."""
    try:
        return attempt(conn, text, parameters)
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return []


def attempt(conn: Connection, text: LiteralString, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """Return all rows; after an error, which is raised, the transaction goes on."""
    try:
        # In one round trip: a savepoint is wanted for every query, and rolled back to for few.
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


def holders(conn: Connection, error: psycopg.Error) -> str:
    """Say who holds the lock that `error` is about; nothing when it is about none, or nobody can be asked."""
    status = conn.info.transaction_status
    if not isinstance(error, errors.LockNotAvailable):
        return ""
    try:
        if status == TransactionStatus.INTRANS:
            return blockers.holders(conn, error)
        if status == TransactionStatus.IDLE:
            begin(conn, "reading")
            with rolled_back(conn):
                return blockers.holders(conn, error)
    except psycopg.Error:
        return ""
    return ""


@contextmanager
def translated(doing: str, conn: Connection | None = None) -> Iterator[None]:
    """Turn psycopg's errors into ours; `doing` says what was going on and with which object."""
    try:
        yield
    except UnicodeEncodeError:
        raise ConfigurationError(f"{doing}: what was given holds a byte that is no UTF-8. Type it again.") from None
    except psycopg.Error as error:
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError | psycopg.DataError):
            raise  # no word from a server or a network: a defect of ours
        reason = refusal(doing, error, holders(conn, error) if conn else "")
    else:
        return
    raise reason from None
