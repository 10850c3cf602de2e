"""Read pg_cron's schedules: five cron fields in UTC, or a number of seconds (pg_cron 1.5 or newer)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bubble_sync.errors import PrerequisiteMissing

_SLOW_RUN = timedelta(seconds=30)
"""Time between two runs of the shortest intervals on a server that is busy, or that waits for a lock."""
_SECONDS = re.compile(r"\s*0*([1-9]|[1-5]\d) seconds?", re.IGNORECASE)


def seconds_of(schedule: str) -> int | None:
    """Return N of `N seconds`, or None for another schedule."""
    match = _SECONDS.fullmatch(schedule)
    return int(match[1]) if match else None


def due_times_in(minutes: int, schedule: str) -> int:
    """Count the due times in some minutes: one a minute for any schedule of five fields."""
    seconds = seconds_of(schedule)
    return minutes * 60 // seconds if seconds else minutes


def require_known(job: str, schedule: str, version: str) -> None:
    """Raise PrerequisiteMissing for a schedule in seconds that this pg_cron does not support."""
    # Debian's 1.4.2 reports version 1.4-1.
    older = re.match(r"(0|1\.[0-4])(?!\d)", version)
    if older and seconds_of(schedule):
        raise PrerequisiteMissing(
            f"job {job}: the schedule {schedule!r} needs pg_cron 1.5, and this server has {version}: nothing was "
            "changed. Upgrade the server, or give five cron fields, as in * * * * *."
        )


def overdue_since(schedule: str, now: datetime) -> datetime | None:
    """Return the time by which a run must have begun, or None for an invalid schedule.

    This is the last due time but one. Intervals in seconds start at the end of the last run.
    """
    if seconds := seconds_of(schedule):
        return now - max(_SLOW_RUN, timedelta(seconds=2 * seconds))
    due = _last_two(schedule, now)
    return due[1] if due else None


def first_due(schedule: str, since: datetime) -> datetime | None:
    """Return the first due time after `since`, or None for an invalid schedule."""
    if seconds := seconds_of(schedule):
        return since + timedelta(seconds=seconds)
    try:
        return next(occurrences(schedule, since))
    except (ValueError, StopIteration):
        return None


def next_due(schedule: str, ran: datetime | None, now: datetime) -> datetime | None:
    """Return the next due time; intervals in seconds start at the newest run, if known."""
    seconds = seconds_of(schedule)
    if seconds and ran is None:
        return None
    if seconds and ran:
        return ran + timedelta(seconds=seconds) * max(1, math.ceil((now - ran).total_seconds() / seconds))
    return first_due(schedule, now)


def interval_of(schedule: str, now: datetime) -> float | None:
    """Return the seconds between the last two due times, or None for an invalid schedule."""
    if seconds := seconds_of(schedule):
        return float(seconds)
    due = _last_two(schedule, now)
    return (due[0] - due[1]).total_seconds() if due else None


def _last_two(schedule: str, now: datetime) -> tuple[datetime, datetime] | None:
    try:
        due = occurrences(schedule, now, reverse=True)
        return next(due), next(due)
    except (ValueError, StopIteration):
        return None


def occurrences(schedule: str, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """Yield the due times of five cron fields after `start`, or before `start` in reverse.

    Raises:
        ValueError: The fields are invalid.
    """
    # Imported here: slow, and seldom needed by the program.
    from cronsim import CronSim, CronSimError

    try:
        found: Iterator[datetime] = CronSim(schedule, start.astimezone(UTC), reverse=reverse)
    except CronSimError as error:
        raise ValueError(str(error).lower()) from None
    return found
