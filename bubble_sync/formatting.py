"""Format times and durations for people: every command writes them in these forms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

SQL_TIMESTAMP = "YYYY-MM-DD HH24:MI:SS TZ"
"""The form of `format_timestamp` for to_char, in a session whose time zone is UTC."""
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def format_timestamp(when: datetime) -> str:
    """Format a timestamp with its date, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_time(at: datetime | None) -> str:
    """Format a recent time for a table, in UTC."""
    return f"{at.astimezone(UTC):%m-%d %H:%M:%S}" if at else ""


def format_minute(at: datetime) -> str:
    """Format a time for a chart, in UTC."""
    return f"{at.astimezone(UTC):%m-%d %H:%M}"


def format_day(when: datetime) -> str:
    """Format the day of an expiry, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d}"


def format_list(lines: Iterable[str]) -> str:
    """Format problems below their heading, each on a line of its own."""
    return "".join(f"\n  - {line}" for line in lines)


def format_age(seconds: float) -> str:
    """Format a duration in its largest unit; a negative one, from another clock, as zero."""
    seconds = max(seconds, 0)
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def format_hours(seconds: float) -> str:
    """Format a duration to the minute from two hours on."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if seconds >= 7200 else format_age(seconds)


def format_seconds(seconds: float | None) -> str:
    """Format a duration to the millisecond below ten seconds."""
    return "" if seconds is None else f"{seconds:.3f} s" if seconds < 10 else format_age(seconds)


def format_tenths(seconds: float) -> str:
    """Format a duration that is compared with others, to the tenth of a second."""
    return f"{seconds:.1f} s"
