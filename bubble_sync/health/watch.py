"""Snapshots of the status and the newest requests."""

from __future__ import annotations

from dataclasses import dataclass

from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Database
from bubble_sync.health.status import Status, status_in
from bubble_sync.records import visibility
from bubble_sync.records.requests import Request, as_of_now, requests_in
from bubble_sync.sql_loader import query


@dataclass(frozen=True)
class Latest:
    """One snapshot; without a log of requests the status has the reason."""

    status: Status
    requests: tuple[Request, ...]


def latest(database: Database, settings: StackSettings, stack: str) -> Latest:
    """Read a snapshot in one transaction."""
    return database.read("reading the status", lambda conn: _latest(conn, settings, stack))


def _latest(conn: Connection, settings: StackSettings, stack: str) -> Latest:
    seen = visibility.look(conn)
    found = status_in(conn, seen, settings, stack)
    if "requests" in found.unknown:
        return Latest(found, ())
    return Latest(found, as_of_now(conn, seen, requests_in(conn.execute(query("requests", "recent")).fetchall())))
