"""What is going on right now: the status, and the newest requests."""

from __future__ import annotations

from dataclasses import dataclass

from bubble_sync.database import Connection, Database
from bubble_sync.questions import sight
from bubble_sync.questions.requests import Request, as_of_now, requests_in
from bubble_sync.questions.status import Status, status
from bubble_sync.settings import StackSettings
from bubble_sync.statements import query


@dataclass(frozen=True)
class Latest:
    """One look; where requests are not logged the status says why."""

    status: Status
    requests: tuple[Request, ...]


def latest(database: Database, settings: StackSettings, stack: str) -> Latest:
    """Look once."""
    found = status(database, settings, stack)
    if "requests" in found.unknown:
        return Latest(found, ())
    return Latest(found, database.read("reading the requests", _newest))


def _newest(conn: Connection) -> tuple[Request, ...]:
    return as_of_now(conn, sight.look(conn), requests_in(conn.execute(query("requests", "recent")).fetchall()))
