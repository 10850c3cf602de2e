"""Run transactions with fixed settings, and translate psycopg's errors; all database access passes through here."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, LiteralString, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from bubble_sync.config.database_url import DatabaseAddress
from bubble_sync.config.keys import masked
from bubble_sync.config.settings import NameSettings
from bubble_sync.database.connection import Connection as Connection
from bubble_sync.database.connection import Pool, names_of_stack
from bubble_sync.database.errors import refusal
from bubble_sync.errors import ConfigurationError, SyncError, Unreachable
from bubble_sync.formatting import format_timestamp
from bubble_sync.printable import printable
from bubble_sync.sql_loader import query

Row = dict[str, Any]
T = TypeVar("T")
How = Literal["change", "reading", "operation"]
_STEPS: Mapping[How, tuple[str, ...]] = {
    "change": ("begin", "limits", "waiting_for_up", "settings", "search_path", "alone", "waiting"),
    "reading": ("begin_reading", "limits", "waiting", "settings", "search_path"),
    # The role's own search_path, as for pg_cron or the application: commands and triggers depend on it.
    "operation": ("begin", "limits", "waiting", "settings"),
}
"""The statements that begin a transaction, in one round trip."""
_IMPATIENT_SECONDS = 5
"""A command waits once for a lock: for so long after a lock timeout, its other transactions wait for none."""
_WITHOUT_WAITING = dict.fromkeys(("waiting", "waiting_for_up"), "not_waiting")
_ATTEMPTS = 10
"""Attempts of a change that loses to another session's, and of a transaction that a role's timeout ends."""
_RELATION = re.compile(r'(?:tuple (\(\d+,\d+\)) )?in relation "([^"]+)"')


def _begin(conn: Connection, how: How, *, waiting: bool = True) -> None:
    """Begin a transaction, which waits for locks or not; raise psycopg's errors."""
    first, *steps = (step if waiting else _WITHOUT_WAITING.get(step, step) for step in _STEPS[how])
    since_17 = ["limits_since_17"] if conn.info.server_version >= 170000 else []
    try:
        conn.execute("\n".join(query("transaction", step) for step in (first, *since_17, *steps)))
    except psycopg.Error:
        _roll_back(conn)
        raise


def _roll_back(conn: Connection) -> None:
    """Roll back; on a lost connection leave it to the server, so that the first error stays."""
    try:
        if not conn.closed:
            conn.rollback()
    except psycopg.Error:
        if not conn.closed:
            raise


@contextmanager
def _named(conn: Connection) -> Iterator[None]:
    """Put a stack's names into the message of an error."""
    try:
        yield
    except SyncError as error:
        error.args = (names_of_stack(conn).render(str(error)),)
        raise


@contextmanager
def _rolled_back(conn: Connection) -> Iterator[None]:
    """Roll back uncommitted work at the end of a block."""
    try:
        yield
    finally:
        _roll_back(conn)


class Database:
    """One database, with a pool of connections that open on demand."""

    def __init__(self, address: DatabaseAddress, names: NameSettings | None = None) -> None:
        """Store address and names without connecting; the default names are the guide's."""
        self.host = address.host
        self._pool = Pool(address, names or NameSettings())
        # Our threads wait here, so that lock_timeout only measures other sessions.
        self._changing = threading.Lock()
        self._impatient_until = 0.0

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-only transaction with local timeouts; retry after a lost race."""
        return self._until_won(doing, work, lambda: self._begun(doing, "reading"))

    def change(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` as one change; retry all of it after a lost race."""
        return self._until_won(doing, work, lambda: self.transaction(doing))

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

    def _until_won(
        self, doing: str, work: Callable[[Connection], T], begun: Callable[[], AbstractContextManager[Connection]]
    ) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with begun() as conn:
                    return work(conn)
            except SyncError as error:
                if not error.lost_race:
                    raise
                lost = error
            # Random, so that two competing sessions do not collide again.
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
        with self._begun(doing, "reading") as conn:
            who = _changing(conn)
        raise type(lost)(f"{lost} Gave up after {_ATTEMPTS} attempts; {who}.")

    @contextmanager
    def _begun(self, doing: str, how: How) -> Iterator[Connection]:
        """Run a block in a transaction, and roll back uncommitted work."""
        conn = self._ready(doing, how)
        try:
            with _named(conn), translated(doing, conn), self._waiting_once(), _rolled_back(conn):
                yield conn
        finally:
            self._pool.give_back(conn)

    @contextmanager
    def _waiting_once(self) -> Iterator[None]:
        """Let no transaction wait soon after a lock timeout: `up` reads many objects behind the same lock."""
        try:
            yield
        except errors.LockNotAvailable:
            self._impatient_until = time.monotonic() + _IMPATIENT_SECONDS
            raise

    def _ready(self, doing: str, how: How) -> Connection:
        """Return a connection with a new transaction; begin again when a role's timeout comes before our limits."""
        attempts = 0
        while True:
            conn, used = self._pool.take()
            attempts += 1
            try:
                with translated(doing, conn), self._waiting_once():
                    _begin(conn, how, waiting=time.monotonic() > self._impatient_until)
            except BaseException as error:
                self._pool.give_back(conn)
                # Nothing is done yet, so a retry is safe.
                lost = isinstance(error, Unreachable) and used and conn.closed
                overdue = isinstance(error, SyncError) and error.timed_out and attempts < _ATTEMPTS
                if not (lost or overdue):
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
        conn.execute(query("transaction", "not_waiting"))
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
                conn.execute(query("transaction", "not_waiting"))
        raise


def holders_of_lock(conn: Connection, error: psycopg.Error) -> str:
    """Describe the holder of the lock behind `error`; return "" for other errors, or when unknown."""
    status = conn.info.transaction_status
    if not isinstance(error, errors.LockNotAvailable):
        return ""
    try:
        if status == TransactionStatus.INTRANS:
            return _lock_holders(conn, error)
        if status == TransactionStatus.IDLE:
            _begin(conn, "reading", waiting=False)
            with _rolled_back(conn):
                return _lock_holders(conn, error)
    except psycopg.Error:
        pass
    return ""


@contextmanager
def translated(doing: str, conn: Connection | None = None) -> Iterator[None]:
    """Translate psycopg's errors into ours; `doing` names the action and its object."""
    try:
        yield
    except UnicodeEncodeError:
        raise ConfigurationError(f"{doing}: the input is not valid UTF-8. Type it again.") from None
    except psycopg.Error as error:
        if interrupt := _interrupt_behind(error):
            raise interrupt from None
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError | psycopg.DataError):
            raise  # neither a server nor a network error: our own bug
        reason = refusal(doing, error, holders_of_lock(conn, error) if conn else "")
    else:
        return
    raise reason from None


def _interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the interrupt that psycopg hides when it cannot end the pipeline of the interrupted statement."""
    cause = error.__context__
    if cause is None or isinstance(cause, KeyboardInterrupt):
        return cause
    return _interrupt_behind(cause)


def _lock_holders(conn: Connection, error: psycopg.Error) -> str:
    """Describe the holders of the lock behind `error`, as a sentence without its full stop.

    The transaction of `conn` must be usable. The server does not name the lock, so we report the locks held right after
    the failure.
    """
    named = _RELATION.search(error.diag.context or "")
    row, relation = named.groups() if named else (None, error.diag.table_name)
    conn.execute(query("transaction", "looking"))
    rows: list[Row] = []
    if row and relation and relation.startswith("pg_"):
        changer = sql.SQL(query("others", "changer")).format(catalog=sql.Identifier(relation))
        rows = conn.execute(changer, {"relation": f"pg_catalog.{relation}", "tuple": row}).fetchall()
    rows = rows or conn.execute(query("others", "holders"), {"relation": relation}).fetchall()
    conn.execute(query("transaction", "not_waiting"))
    if not rows:
        return "another session held a lock (SQLSTATE 55P03), and has released it since: run again"
    held = "; ".join(f"the lock on {row['object']} is held by {_session(row)}" for row in rows)
    first = next((pid for row in rows for pid in row["waits_for"]), rows[0]["pid"])
    return f"{held}. Wait for it, or end it: select pg_terminate_backend({first})"


def _changing(conn: Connection) -> str:
    """Describe the sessions that are changing data now."""
    rows = conn.execute(query("others", "changing")).fetchall()
    return "; ".join(f"active now: {_session(row)}" for row in rows) or "no other session is visible now"


def _session(row: Row) -> str:
    known = [f"role {row['role']}"] if row["role"] else []
    if row["application"]:
        known.insert(0, f"application {printable(masked(row['application']))}")
    if row["since"]:
        known.append(f"in a transaction since {format_timestamp(row['since'])}")
    if row["command"]:
        known.append(f"last command {row['command']}")
    else:
        known.append("details need pg_read_all_stats")
    waits = row.get("waits_for")
    if waits:
        known.append(f"which itself waits for pid {', '.join(map(str, waits))}")
    return f"pid {row['pid']} ({', '.join(known)})"
