"""Load timestamps, infinity included, as comparable datetimes."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg import DataError
from psycopg.abc import AdaptContext, Buffer
from psycopg.types.datetime import TimestampLoader, TimestamptzLoader


def register(context: AdaptContext) -> None:
    """Register both loaders on a connection."""
    context.adapters.register_loader("timestamptz", _Moment)
    context.adapters.register_loader("timestamp", _WallClock)


class _Moment(TimestamptzLoader):
    """A loader that accepts infinity."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return _beyond(data)


class _WallClock(TimestampLoader):
    """A loader for an application's timestamps without a zone, taken as UTC."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data).replace(tzinfo=UTC)
        except DataError:
            return _beyond(data)


def _beyond(data: Buffer) -> datetime:
    """Return the first or last datetime for a value out of range, such as the infinity of an item without retries."""
    text = bytes(data)
    first = text.startswith(b"-") or text.endswith(b"BC")
    return (datetime.min if first else datetime.max).replace(tzinfo=UTC)
