"""List the jobs that the configuration pauses, with reason and end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bubble_sync.config.settings import StackSettings
from bubble_sync.formatting import format_timestamp
from bubble_sync.model.jobs import MANAGED_JOBS


@dataclass(frozen=True)
class Pause:
    """One paused job."""

    key: str
    reason: str
    until: datetime | None
    """None when not given."""
    overdue: bool

    def __str__(self) -> str:
        """Return end and reason of the pause, and a remedy if overdue."""
        until = f" until {format_timestamp(self.until)}" if self.until else ""
        late = f"; that is past: `bubble-sync resume --job {self.key}`" if self.overdue else ""
        return f"paused{until} ({self.reason or 'no reason given'}){late}"


def paused(settings: StackSettings, now: datetime) -> dict[str, Pause]:
    """Return the paused jobs by name."""
    return {
        settings.names.render(job.name): Pause(
            job.key, one.pause_reason, one.pause_until, bool(one.pause_until and one.pause_until <= now)
        )
        for job, one in ((job, job.settings_in(settings)) for job in MANAGED_JOBS)
        if not one.active
    }


def pause_warnings(settings: StackSettings, now: datetime) -> tuple[str, ...]:
    """Return a warning for each overdue pause."""
    return tuple(f"job {name} is {pause}" for name, pause in paused(settings, now).items() if pause.overdue)
