"""Describe blocking sessions: pid, application, role, start and last command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg

from bubble_sync.config.keys import masked
from bubble_sync.database.connection import Connection
from bubble_sync.formatting import format_timestamp
from bubble_sync.sql_loader import query

_Row = Mapping[str, Any]

_RELATION = re.compile(r'in relation "([^"]+)"')


def lock_holders(conn: Connection, error: psycopg.Error) -> str:
    """Describe the holders of the lock behind `error`, as a sentence without its full stop.

    The transaction of `conn` must be usable. The server does not name the lock, so we report the locks held right after
    the failure.
    """
    named = _RELATION.search(error.diag.context or "")
    rows = conn.execute(query("others", "holders"), {"relation": named[1] if named else None}).fetchall()
    if not rows:
        return "another session held a lock (SQLSTATE 55P03), and has released it since: run again"
    held = "; ".join(f"the lock on {row['object']} is held by {_session(row)}" for row in rows)
    first = next((pid for row in rows for pid in row["waits_for"]), rows[0]["pid"])
    return f"{held}. Wait for it, or end it: select pg_terminate_backend({first})"


def changing(conn: Connection) -> str:
    """Describe the sessions that are changing data now."""
    rows = conn.execute(query("others", "changing")).fetchall()
    return "; ".join(f"active now: {_session(row)}" for row in rows) or "no other session is visible now"


def _session(row: _Row) -> str:
    known = [f"role {row['role']}"] if row["role"] else []
    if row["application"]:
        known.insert(0, f"application {_plain(row['application'])}")
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


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in masked(text))
