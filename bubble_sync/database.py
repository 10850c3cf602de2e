"""The only module that connects: one connection a thread, one transaction a change, our errors instead of psycopg's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, LiteralString, TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from bubble_sync import moments
from bubble_sync.database_url import DatabaseAddress
from bubble_sync.errors import ConfigurationError, Unreachable
from bubble_sync.refusals import CONNECT_TIMEOUT_SECONDS, refusal, why_not_connected
from bubble_sync.statements import query

# An aborted pipeline is a warning there, on the standard error that Pulumi shows; we say what matters ourselves.
logging.getLogger("psycopg").setLevel(logging.ERROR)

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
T = TypeVar("T")


def connect(address: DatabaseAddress) -> Connection:
    """Open an autocommit connection; raise Unreachable with the cause in one line."""
    parameters: dict[str, Any] = {"application_name": "bubble-sync", "connect_timeout": CONNECT_TIMEOUT_SECONDS}
    # PGHOSTADDR would send the connection elsewhere: the address is the URL's, or the host's own.
    parameters["hostaddr"] = address.hostaddr or ""
    if address.sslmode is None:
        # Never "prefer", libpq's own choice: after a refused password it would try the same password again.
        parameters["sslmode"] = "disable" if address.loopback else "verify-full"
    if address.ca is not None:
        parameters["sslrootcert"] = address.ca
    try:
        # A pooler in transaction mode knows no named prepared statements.
        conn = psycopg.connect(address.url, autocommit=True, prepare_threshold=None, row_factory=dict_row, **parameters)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            f"the database URL for {address.host} has a part that PostgreSQL's library does not know. "
            "Remove what another tool wants after the question mark, as in ?pgbouncer=true."
        ) from None
    except psycopg.Error as error:
        cause = why_not_connected(error)
    else:
        moments.register(conn)
        return conn
    stale = " If its URL has changed since the last `pulumi up`, run `pulumi up --run-program` once."
    raise Unreachable(
        f"cannot connect to the database at {address.host}: {cause}.{stale if address.configured else ''}"
    )


class Database:
    """One database, with one connection for each thread, made when first needed and again when it was lost."""

    def __init__(self, address: DatabaseAddress) -> None:
        """Remember the address; nothing is opened yet."""
        self._address = address
        self._local = threading.local()
        # Our own threads queue here, so that the wait for another session's lock counts that session alone.
        self._changing = threading.Lock()

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-only transaction with local timeouts."""
        with translated(doing):
            conn = self._begin("begin_reading")
            try:
                return work(conn)
            finally:
                if not conn.closed:
                    conn.rollback()

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """Run a block as one change: our lock, local timeouts, all or nothing."""
        with self._changing, self._committed(doing, "begin") as conn:
            yield conn

    @contextmanager
    def operation(self, doing: str) -> Iterator[Connection]:
        """Run a block that changes no object of a stack, as pg_cron or the application would: without our lock."""
        with self._committed(doing, "begin_operation") as conn:
            yield conn

    def close(self) -> None:
        """Close this thread's connection."""
        conn: Connection | None = getattr(self._local, "connection", None)
        if conn is not None:
            conn.close()

    @contextmanager
    def _committed(self, doing: str, how: Literal["begin", "begin_operation"]) -> Iterator[Connection]:
        with translated(doing):
            conn = self._begin(how)
            try:
                yield conn
            except BaseException:
                if not conn.closed:
                    conn.rollback()
                raise
            conn.commit()

    def _begin(self, how: Literal["begin", "begin_reading", "begin_operation"]) -> Connection:
        conn, reused = self._connection()
        try:
            conn.execute(query("transaction", how))
        except psycopg.Error as error:
            if not conn.closed:
                conn.rollback()
            if not (reused and conn.closed and isinstance(error, psycopg.OperationalError)):
                raise
            # Lost before anything was done: the outcome is known, so that beginning again is safe.
            conn, _ = self._connection()
            conn.execute(query("transaction", how))
        return conn

    def _connection(self) -> tuple[Connection, bool]:
        conn: Connection | None = getattr(self._local, "connection", None)
        if conn is not None and not conn.closed:
            return conn, True
        self._local.connection = conn = connect(self._address)
        return conn, False


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
    except psycopg.DatabaseError:
        if conn.info.transaction_status == TransactionStatus.INERROR:
            conn.execute("rollback to savepoint fetching")
        raise


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn psycopg's errors into ours; `doing` says what was going on and with which object."""
    try:
        yield
    except UnicodeEncodeError:
        raise ConfigurationError(f"{doing}: what was given holds a byte that is no UTF-8. Type it again.") from None
    except psycopg.Error as error:
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError | psycopg.DataError):
            raise  # no word from a server or a network: a defect of ours
        reason = refusal(doing, error)
    else:
        return
    raise reason from None
