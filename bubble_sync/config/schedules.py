"""pg_cron's schedules: five cron fields, in UTC, or a number of seconds, which pg_cron knows since 1.5."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bubble_sync.errors import PrerequisiteMissing

_SECONDS = re.compile(r"\s*0*([1-9]|[1-5]\d) seconds?", re.IGNORECASE)


def seconds_of(schedule: str) -> int | None:
    """Return the N of `N seconds`; None for any other schedule."""
    match = _SECONDS.fullmatch(schedule)
    return int(match[1]) if match else None


def require_known(job: str, schedule: str, version: str) -> None:
    """Raise PrerequisiteMissing when a schedule is in seconds, and this version of pg_cron knows none."""
    # Debian's 1.4.2 calls itself 1.4-1.
    older = re.match(r"(0|1\.[0-4])(?!\d)", version)
    if older and seconds_of(schedule):
        raise PrerequisiteMissing(
            f"job {job}: the schedule {schedule!r} needs pg_cron 1.5, and this server has {version}: nothing was "
            "changed. Upgrade the server, or give five cron fields, as in * * * * *."
        )


def overdue_since(schedule: str, now: datetime) -> datetime | None:
    """Return the moment since which a run must have begun; None when the schedule cannot be read.

    That is when it was due last but one. Seconds are counted from the end of the last run: a minute may pass.
    """
    if seconds := seconds_of(schedule):
        return now - timedelta(seconds=max(60, 2 * seconds))
    due = _last_two(schedule, now)
    return due[1] if due else None


def first_due(schedule: str, since: datetime) -> datetime | None:
    """Return when a job is due first after a moment; None when the schedule cannot be read."""
    if seconds := seconds_of(schedule):
        return since + timedelta(seconds=seconds)
    try:
        return next(occurrences(schedule, since))
    except (ValueError, StopIteration):
        return None


def next_due(schedule: str, ran: datetime | None, now: datetime) -> datetime | None:
    """Return when a job is due next; one that runs by seconds counts them from its newest run, where that is known."""
    seconds = seconds_of(schedule)
    if seconds and ran is None:
        return None
    if seconds and ran:
        return ran + timedelta(seconds=seconds) * max(1, math.ceil((now - ran).total_seconds() / seconds))
    return first_due(schedule, now)


def interval_of(schedule: str, now: datetime) -> float | None:
    """Return the seconds between the last two times it was due; None when the schedule cannot be read."""
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
    """Return the moments after `start`, or before it, at which five cron fields are due.

    Raises:
        ValueError: The fields cannot be read; the text says why.
    """
    # Here, because the program seldom needs it, and importing it takes as long as all of its settings.
    from cronsim import CronSim, CronSimError

    try:
        found: Iterator[datetime] = CronSim(schedule, start.astimezone(UTC), reverse=reverse)
    except CronSimError as error:
        raise ValueError(str(error).lower()) from None
    return found
