"""How a transaction begins and ends: what is fixed for it, so that no role, database or session changes an answer."""

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
    # As pg_cron or the application would: the role's own search_path, on which commands and triggers of others count.
    "operation": ("begin", "limits", "settings"),
}
"""What begins a transaction, in one round trip."""


def begin(conn: Connection, how: How) -> None:
    """Begin a transaction; raises psycopg's errors."""
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
    """Roll back at the end of a block what the block has not committed."""
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
