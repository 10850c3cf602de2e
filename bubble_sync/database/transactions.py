"""Begin and end transactions with fixed settings, so that no role, database or session changes a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import psycopg

from bubble_sync.database.connection import Connection
from bubble_sync.sql_loader import query

How = Literal["change", "reading", "operation"]
_STEPS: Mapping[How, tuple[str, ...]] = {
    "change": ("begin", "limits", "settings", "search_path", "alone"),
    "reading": ("begin_reading", "limits", "settings", "search_path"),
    # The role's own search_path, as for pg_cron or the application: commands and triggers depend on it.
    "operation": ("begin", "limits", "settings"),
}
"""The statements that begin a transaction, in one round trip."""


def begin(conn: Connection, how: How) -> None:
    """Begin a transaction; raise psycopg's errors."""
    first, *steps = _STEPS[how]
    since_17 = ["limits_since_17"] if conn.info.server_version >= 170000 else []
    try:
        conn.execute("\n".join(query("transaction", step) for step in (first, *since_17, *steps)))
    except psycopg.Error:
        if not conn.closed:
            conn.rollback()
        raise


@contextmanager
def rolled_back(conn: Connection) -> Iterator[None]:
    """Roll back uncommitted work at the end of a block."""
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
