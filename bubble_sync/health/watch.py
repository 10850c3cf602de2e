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
class WatchSnapshot:
    """One snapshot; without a log of requests the status has the reason."""

    status: Status
    requests: tuple[Request, ...]


def watch_snapshot(database: Database, settings: StackSettings, stack: str) -> WatchSnapshot:
    """Read a snapshot in one transaction."""
    return database.read("reading the status", lambda conn: _watch_snapshot(conn, settings, stack))


def _watch_snapshot(conn: Connection, settings: StackSettings, stack: str) -> WatchSnapshot:
    visible = visibility.probe_visibility(conn)
    found = status_in(conn, visible, settings, stack)
    if "requests" in found.unknown:
        return WatchSnapshot(found, ())
    return WatchSnapshot(
        found, as_of_now(conn, visible, requests_in(conn.execute(query("requests", "recent")).fetchall()))
    )
