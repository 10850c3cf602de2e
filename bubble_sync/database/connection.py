"""How a connection is opened; and the pool of them: as many as are in use at once, or as few as the server allows.

One connection is opened at a time. A refused password is so tried once, and where the server has no second connection
for us, the threads take turns with the first.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from bubble_sync.config.database_url import DatabaseAddress
from bubble_sync.config.project_ref import ref_of_database
from bubble_sync.database import timestamp_loaders
from bubble_sync.database.errors import CONNECT_TIMEOUT_SECONDS, why_not_connected
from bubble_sync.errors import ConfigurationError, Unreachable

# An aborted pipeline is a warning there, on the standard error that Pulumi shows; we say what matters ourselves.
logging.getLogger("psycopg").setLevel(logging.ERROR)

Connection = psycopg.Connection[dict[str, Any]]

_TRIES_WHILE_FULL = 5
_PAUSE_WHILE_FULL_SECONDS = 1.0
"""A job of pg_cron holds a connection for an instant: the last one may be free a moment later."""


def connect(address: DatabaseAddress) -> Connection:
    """Open an autocommit connection; raise Unreachable with the cause in one line."""
    try:
        # A pooler in transaction mode knows no named prepared statements.
        conn = psycopg.connect(
            address.url, autocommit=True, prepare_threshold=None, row_factory=dict_row, **_parameters(address)
        )
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            f"the database URL for {address.host} has a part that PostgreSQL's library does not know. "
            "Remove what another tool wants after the question mark, as in ?pgbouncer=true."
        ) from None
    except psycopg.Error as error:
        hosted = address.host.lower().startswith("db.") and ref_of_database(address.host, address.user) is not None
        cause, retry = why_not_connected(error, hosted=hosted)
    else:
        timestamp_loaders.register(conn)
        return conn
    stale = " If its URL has changed since the last `pulumi up`, run `pulumi up --run-program` once."
    raise Unreachable(
        f"cannot connect to the database at {address.place}: {cause}.{stale if address.configured else ''}", retry
    )


def _parameters(address: DatabaseAddress) -> dict[str, Any]:
    """Return what the URL leaves to libpq, which would take it from the environment: PGPORT, PGOPTIONS and others."""
    parameters: dict[str, Any] = {
        "application_name": "bubble-sync",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "client_encoding": "UTF8",
        "port": address.port,
        "dbname": address.database,
        # PGHOSTADDR would send the connection elsewhere: the address is the URL's, or the host's own.
        "hostaddr": address.hostaddr or "",
        "target_session_attrs": "any",
    }
    if "options=" not in address.url:
        parameters["options"] = ""
    if address.sslmode is None:
        # Never "prefer", libpq's own choice: after a refused password it would try the same password again.
        parameters["sslmode"] = "disable" if address.loopback else "verify-full"
    if address.ca is not None:
        parameters["sslrootcert"] = address.ca
    return parameters


class Pool:
    """Lends each connection to one thread at a time."""

    def __init__(self, address: DatabaseAddress) -> None:
        """Remember the address; nothing is opened yet."""
        self._address = address
        self._changed = threading.Condition()
        self._idle: list[Connection] = []
        self._lent = 0
        self._connecting = False
        self._most = math.inf
        """How many connections the server allows, known once it has refused one more."""
        self._refusal = Unreachable("")
        self._refused_until = -math.inf

    def take(self) -> tuple[Connection, bool]:
        """Lend a connection, and say whether it was lent before; wait while none is to be had.

        Raises:
            Unreachable: an attempt to connect failed now, or so recently or finally that another one is no use.
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
        """Take a connection back; one that is lost, or not at rest, is not lent again."""
        if conn.info.transaction_status != TransactionStatus.IDLE:
            conn.close()
        with self._changed:
            self._lent -= 1
            if not conn.closed:
                self._idle.append(conn)
            self._changed.notify_all()

    def close(self) -> None:
        """Close the connections that are not lent."""
        with self._changed:
            idle, self._idle = self._idle, []
        for conn in idle:
            conn.close()

    def _can_go_on(self) -> bool:
        may_connect = not self._connecting and self._lent < self._most
        return bool(self._idle) or may_connect or time.monotonic() < self._refused_until

    def _opened(self) -> Connection | None:
        """Open a connection; return None when the server allows no more than it has given us already."""
        began, conn = time.monotonic(), None
        try:
            conn = self._patiently()
        except Unreachable as refusal:
            with self._changed:
                if refusal.retry == "when free" and (there := self._lent + len(self._idle)):
                    self._most = there
                    return None
                # As long as it took to come: nobody waits twice for a server that does not answer.
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
                return connect(self._address)
            except Unreachable as refusal:
                if refusal.retry != "when free" or self._lent or self._idle:
                    raise
            time.sleep(_PAUSE_WHILE_FULL_SECONDS)
        return connect(self._address)
