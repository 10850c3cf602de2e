"""Moments as the database has them, read into ones that can be compared with each other."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg import DataError
from psycopg.abc import AdaptContext, Buffer
from psycopg.types.datetime import TimestampLoader, TimestamptzLoader


def register(context: AdaptContext) -> None:
    """Have a connection read moments so."""
    context.adapters.register_loader("timestamptz", _Moment)
    context.adapters.register_loader("timestamp", _WallClock)


class _Moment(TimestamptzLoader):
    """Any moment, infinity too."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return _beyond(data)


class _WallClock(TimestampLoader):
    """A moment that a queue of somebody's own keeps without its zone: the server's is UTC."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data).replace(tzinfo=UTC)
        except DataError:
            return _beyond(data)


def _beyond(data: Buffer) -> datetime:
    """Return the calendar's end for what lies beyond it: an item that shall never be retried is due at infinity."""
    text = bytes(data)
    first = text.startswith(b"-") or text.endswith(b"BC")
    return (datetime.min if first else datetime.max).replace(tzinfo=UTC)
