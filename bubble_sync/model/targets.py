"""Define the target for the time from sign-up to sync."""

from __future__ import annotations

from dataclasses import dataclass

from bubble_sync.config.schedules import seconds_of

_WORK_SECONDS = 15
_LATE_SECONDS = 60


@dataclass(frozen=True)
class Target:
    """The time from sign-up to sync, and the age of a late item, in seconds: by default the guide's timeline."""

    seconds: int = 60 + _WORK_SECONDS
    """End to end: the next tick and the work."""
    limit: int = 60 + _LATE_SECONDS
    """The guide's one to two minutes."""

    def __str__(self) -> str:
        """Return both in words."""
        return f"the target is {self.seconds} s, the limit {self.limit} s"


WAKE_TARGET_SECONDS = 2
"""End to end with `processor.wake`: the request of the insert, and the work."""
TARGET = Target()
"""The target of a schedule of a minute or more."""


def target_for(schedule: str) -> Target:
    """Return the target with this schedule of the processor, shorter for one in seconds."""
    interval = seconds_of(schedule)
    return Target(interval + _WORK_SECONDS, interval + _LATE_SECONDS) if interval else TARGET
