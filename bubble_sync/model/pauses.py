"""List the jobs that the configuration pauses, with reason and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.config.settings import ProcessorSettings, RetrySettings, StackSettings
from bubble_sync.formatting import format_timestamp
from bubble_sync.model.setup import job_specs
from bubble_sync.specs import Keeper

JOBS: Mapping[str, str] = dict(
    zip(
        ("processor", "retry"),
        (spec.name for spec in job_specs(ProcessorSettings(), RetrySettings(), Keeper(""))),
        strict=True,
    )
)
"""The configuration key of each job -> its name."""


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
        name: Pause(key, job.pause_reason, job.pause_until, job.pause_until is not None and job.pause_until <= now)
        for (key, name), job in zip(JOBS.items(), (settings.processor, settings.retry), strict=True)
        if not job.active
    }


def warnings_about(settings: StackSettings, now: datetime) -> tuple[str, ...]:
    """Return a warning for each overdue pause."""
    return tuple(f"job {name} is {pause}" for name, pause in paused(settings, now).items() if pause.overdue)
