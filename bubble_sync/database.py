"""The only module that connects, and the only one that turns psycopg's errors into ours.

psycopg's own messages echo connection strings, literals and rows: they are read here for their meaning, and never
passed on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from bubble_sync.addresses import DatabaseAddress
from bubble_sync.errors import Busy, PrerequisiteMissing, PrivilegeMissing, ServerRefused, SyncError, Unreachable
from bubble_sync.statements import query

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 10

_DATABASE_CA = "pulumi config set bubble-sync:databaseCa <file> with the CA certificate from the database settings"
# What libpq says -> what it means; the first match counts.
_CONNECT_CAUSES = (
    ("password authentication failed", "the password is wrong; it was tried once, since repeated failures are banned"),
    ("no password supplied", "the URL holds no password"),
    ("tenant or user not found", "the pooler knows no such project or user; a paused project must be resumed first"),
    ("tenant/user", "the pooler knows no such project or user; a paused project must be resumed first"),
    ("root certificate file", f"its certificate cannot be checked without a CA: {_DATABASE_CA}"),
    ("certificate verify failed", f"its certificate is not signed by the given CA, or has expired: {_DATABASE_CA}"),
    ("does not match host name", "its certificate is for another host; check the host in the database URL"),
    ("does not support ssl", "it does not offer TLS, and the password would travel in clear text"),
    ("could not translate host name", "the host name does not resolve; check the database URL, or use the pooler's"),
    ("failed to resolve host", "the host name does not resolve; check the database URL, or use the pooler's"),
    ("network is unreachable", "the direct host is IPv6 only; use the session pooler's URL"),
    ("connection refused", "nothing listens there; check that the server runs, and the port"),
    ("no such file or directory", "nothing listens there; check that the server runs, and the port"),
    ("too many c", "it has no connection left; close some, or raise its limit"),
    ("connection slots are reserved", "it has no connection left; close some, or raise its limit"),
    ("max client", "it has no connection left; close some, or raise its limit"),
    ("database system is", "it is starting or stopping; wait a moment, then run again"),
    ("no pg_hba.conf entry", "it lets nobody in from here under this user name; check its network restrictions"),
    ("does not exist", "it has no database or no role of that name; check both in the database URL"),
    ("timeout", f"it did not answer within {CONNECT_TIMEOUT_SECONDS} s; check host, port and network restrictions"),
)


def connect(address: DatabaseAddress) -> Connection:
    """Open an autocommit connection; raise Unreachable with the cause in one line."""
    parameters: dict[str, Any] = {"application_name": "bubble-sync", "connect_timeout": CONNECT_TIMEOUT_SECONDS}
    if address.sslmode is None and not address.loopback:
        parameters["sslmode"] = "verify-full"
    if address.ca is not None:
        parameters["sslrootcert"] = address.ca
    try:
        # A pooler in transaction mode knows no named prepared statements.
        return psycopg.connect(address.url, autocommit=True, prepare_threshold=None, row_factory=dict_row, **parameters)
    except psycopg.Error as error:
        said = str(error).lower()
    cause = next((cause for sign, cause in _CONNECT_CAUSES if sign in said), "the server closed the connection")
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

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run read-only `work`, once more on a fresh connection when an idle one turns out to be lost."""
        with translated(doing):
            conn, reused = self._connection()
            try:
                return work(conn)
            except psycopg.OperationalError:
                if not (reused and conn.closed):
                    raise
            return work(self._connection()[0])

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """Run a block as one change: our lock, local timeouts, all or nothing."""
        with translated(doing):
            conn = self._begin()
            try:
                yield conn
            except BaseException:
                if not conn.closed:
                    conn.rollback()
                raise
            conn.commit()

    def close(self) -> None:
        """Close this thread's connection."""
        conn: Connection | None = getattr(self._local, "connection", None)
        if conn is not None:
            conn.close()

    def _begin(self) -> Connection:
        conn, reused = self._connection()
        try:
            conn.execute(query("transaction", "begin"))
        except psycopg.OperationalError:
            if not conn.closed:
                conn.rollback()
            if not (reused and conn.closed):
                raise
            # Lost before anything was done: the outcome is known, so that beginning again is safe.
            conn, _ = self._connection()
            conn.execute(query("transaction", "begin"))
        return conn

    def _connection(self) -> tuple[Connection, bool]:
        conn: Connection | None = getattr(self._local, "connection", None)
        if conn is not None and not conn.closed:
            return conn, True
        self._local.connection = conn = connect(self._address)
        return conn, False


def fetch(conn: Connection, text: LiteralString, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """Return all rows; none when a table or schema of the query is not there."""
    try:
        if conn.info.transaction_status == TransactionStatus.IDLE:
            return conn.execute(text, parameters).fetchall()
        with conn.transaction():
            return conn.execute(text, parameters).fetchall()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return []


def identifiers(names: Sequence[str]) -> sql.Composed:
    """Compose a list of quoted identifiers."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn psycopg's errors into ours; `doing` says what was going on and with which object."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError):
            raise  # no word from a server or a network: a defect of ours
        reason = _translate(doing, error)
    else:
        return
    raise reason from None


def _translate(doing: str, error: psycopg.Error) -> SyncError:
    state = error.sqlstate
    if state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03", "53300"):
        return Unreachable(f"{doing}: the connection to the database was lost. Run again: what was done is found.")
    if state == "42501":
        # The primary message of this state names the object and never a value.
        return PrivilegeMissing(f"{doing}: {error.diag.message_primary}. Grant it, or connect as the owner.")
    if state in ("55P03", "40P01", "57014"):
        return Busy(f"{doing}: another session holds what is needed (SQLSTATE {state}). Wait for it, then run again.")
    if state == "25006":
        return PrerequisiteMissing(f"{doing}: the server is read-only. Make it writable, then run again.")
    return ServerRefused(f"{doing}: PostgreSQL refused it (SQLSTATE {state}).")
