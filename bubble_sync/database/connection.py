"""Open connections, and pool them: one for each concurrent user, within the server's limit.

Connections open one at a time, so a wrong password is tried once. When the server has no second connection for us,
the threads share the first.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from bubble_sync.config.database_url import DatabaseAddress
from bubble_sync.config.project_ref import ref_of_database
from bubble_sync.config.settings import NameSettings
from bubble_sync.database import text_loaders, timestamp_loaders
from bubble_sync.database.errors import CONNECT_TIMEOUT_SECONDS, why_not_connected
from bubble_sync.errors import ConfigurationError, Unreachable

if TYPE_CHECKING:
    from psycopg.abc import Params, PQGen, Query
    from psycopg.copy import Writer

# psycopg logs an aborted pipeline as a warning, which Pulumi would show.
logging.getLogger("psycopg").setLevel(logging.ERROR)

Connection = psycopg.Connection[dict[str, Any]]
_Result = TypeVar("_Result")

SILENCE_SECONDS = 100.0
"""Silence of the server after which a connection counts as lost, since TCP alone does not notice a dead network.

The server ends a statement of ours after 30 s and an idle transaction after 60 s: its locks are free by then.
"""


class Verbatim(sql.SQL):
    """SQL that has a stack's names, or comes from the server: no name in the text is replaced."""


def rendered(query: sql.Composable, names: NameSettings) -> sql.Composable:
    """Replace the default names in the SQL of a query, once; values in the query stay as they are."""
    if isinstance(query, sql.Composed):
        return sql.Composed([rendered(part, names) for part in query])
    if isinstance(query, sql.SQL) and not isinstance(query, Verbatim):
        return Verbatim(names.render(query.as_string()))
    return query


class NamedConnection(Connection):
    """A connection to a database with a stack's names: each statement gets the names in place of the defaults."""

    names: NameSettings

    def wait(self, gen: PQGen[_Result], *arguments: Any, **options: Any) -> _Result:  # noqa: ANN401 (psycopg adds some)
        """Wait for the server; close the connection and raise OperationalError when it stays silent."""
        return super().wait(self._unless_silent(gen), *arguments, **options)

    def _unless_silent(self, gen: PQGen[_Result]) -> PQGen[_Result]:
        heard = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENCE_SECONDS:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server is silent")
                wanted = gen.send(ready)
        except StopIteration as end:
            return cast("_Result", end.value)


class _NamedCursor(psycopg.Cursor[dict[str, Any]]):
    def execute(self, query: Query, params: Params | None = None, **options: bool | None) -> Self:
        return super().execute(self._with_names(query), params, **options)  # type: ignore[arg-type]

    @contextmanager
    def copy(self, statement: Query, params: Params | None = None, **options: Writer | None) -> Iterator[psycopg.Copy]:
        with super().copy(self._with_names(statement), params, **options) as copy:
            yield copy

    def _with_names(self, query: Query) -> Query:
        names = names_of_stack(self.connection)
        if isinstance(query, sql.Composable):
            return cast("Query", rendered(query, names))
        return names.render(query) if isinstance(query, str) else query


_TRIES_WHILE_FULL = 5
_PAUSE_WHILE_FULL_SECONDS = 1.0
"""A pg_cron job holds its connection only briefly, so one may become free."""


def names_of_stack(conn: Connection) -> NameSettings:
    """Return the names of the stack that a connection belongs to."""
    return conn.names if isinstance(conn, NamedConnection) else NameSettings()


def connect(address: DatabaseAddress, names: NameSettings | None = None) -> Connection:
    """Open an autocommit connection for the default names or others; raise Unreachable with the cause."""
    try:
        # Poolers in transaction mode do not support prepared statements.
        conn = NamedConnection.connect(
            address.url,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            cursor_factory=_NamedCursor,
            **_parameters(address),
        )
        conn.names = names or NameSettings()
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            f"the database URL for {address.host} has a parameter that libpq does not support. "
            "Remove parameters of other tools after the question mark, such as ?pgbouncer=true."
        ) from None
    except psycopg.Error as error:
        hosted = address.host.lower().startswith("db.") and ref_of_database(address.host, address.user) is not None
        cause, retry = why_not_connected(error, hosted=hosted)
    else:
        timestamp_loaders.register(conn)
        text_loaders.register_text(conn)
        return conn
    stale = " If the URL has changed since the last `pulumi up`, run `pulumi up --run-program` once."
    raise Unreachable(
        f"cannot connect to the database at {address.place}: {cause}.{stale if address.configured else ''}", retry
    )


def _parameters(address: DatabaseAddress) -> dict[str, Any]:
    """Return the parameters that libpq would otherwise take from the environment, such as PGPORT and PGOPTIONS."""
    parameters: dict[str, Any] = {
        "application_name": "bubble-sync",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "client_encoding": "UTF8",
        "port": address.port,
        "dbname": address.database,
        # Override PGHOSTADDR, which would redirect the connection.
        "hostaddr": address.hostaddr or "",
        "target_session_attrs": "any",
    }
    if "options=" not in address.url:
        parameters["options"] = ""
    if address.sslmode is None:
        # Not libpq's default "prefer", which retries a rejected password.
        parameters["sslmode"] = "disable" if address.loopback else "verify-full"
    if address.ca is not None:
        parameters["sslrootcert"] = address.ca
    return parameters


class Pool:
    """A pool that lends each connection to one thread at a time."""

    def __init__(self, address: DatabaseAddress, names: NameSettings) -> None:
        """Store the address without connecting."""
        self._address, self._names = address, names
        self._changed = threading.Condition()
        self._idle: list[Connection] = []
        self._lent = 0
        self._connecting = False
        self._most = math.inf
        """The server's limit for us, known after its first refusal."""
        self._refusal = Unreachable("")
        self._refused_until = -math.inf

    def take(self) -> tuple[Connection, bool]:
        """Return a connection and whether it was used before; wait until one is available.

        Raises:
            Unreachable: Connecting failed now, or failed recently, or can never succeed.
        """
        while True:
            with self._changed:
                self._changed.wait_for(self._can_go_on)
                if time.monotonic() < self._refused_until:
                    raise Unreachable(str(self._refusal))
                if self._idle:
                    self._lent += 1
                    return self._idle.pop(), True
                self._connecting = True
            if conn := self._opened():
                return conn, False

    def give_back(self, conn: Connection) -> None:
        """Return a connection to the pool; drop it when closed or in a transaction."""
        if conn.info.transaction_status != TransactionStatus.IDLE:
            conn.close()
        with self._changed:
            self._lent -= 1
            if not conn.closed:
                self._idle.append(conn)
            self._changed.notify_all()

    def close(self) -> None:
        """Close the idle connections."""
        with self._changed:
            idle, self._idle = self._idle, []
        for conn in idle:
            conn.close()

    def _can_go_on(self) -> bool:
        may_connect = not self._connecting and self._lent < self._most
        return bool(self._idle) or may_connect or time.monotonic() < self._refused_until

    def _opened(self) -> Connection | None:
        """Open a connection; return None at the server's limit."""
        began, conn = time.monotonic(), None
        try:
            conn = self._patiently()
        except Unreachable as refusal:
            with self._changed:
                if refusal.retry == "when free" and (there := self._lent + len(self._idle)):
                    self._most = there
                    return None
                # Refuse for as long as the failed attempt took, so that threads do not wait for a dead server in turn.
                now = time.monotonic()
                self._refused_until = math.inf if refusal.retry == "never" else now + (now - began)
                self._refusal = refusal
            raise
        finally:
            with self._changed:
                self._connecting = False
                self._lent += conn is not None
                self._changed.notify_all()
        return conn

    def _patiently(self) -> Connection:
        for _ in range(_TRIES_WHILE_FULL - 1):
            try:
                return connect(self._address, self._names)
            except Unreachable as refusal:
                if refusal.retry != "when free" or self._lent or self._idle:
                    raise
            time.sleep(_PAUSE_WHILE_FULL_SECONDS)
        return connect(self._address, self._names)
