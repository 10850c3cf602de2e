"""The jobs of the sync, in order: another job is one entry here, one file in `sql/functions/` and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

from bubble_sync.config.settings import (
    AlertSettings,
    HistorySettings,
    JobSettings,
    NameSettings,
    ProcessorSettings,
    RetrySettings,
    SenderSettings,
    Settings,
    StackSettings,
)
from bubble_sync.specs import CronJobSpec, Owner

_S = TypeVar("_S", bound=Settings, covariant=True)


@dataclass(frozen=True)
class ManagedJob(Generic[_S]):
    """A pg_cron job with the function that it runs."""

    key: str
    """The job's group of settings in the configuration, and its name for `--job`."""
    name: str
    """The name in pg_cron."""
    function: str
    """Schema and name of the function."""
    settings: type[_S]

    @property
    def file(self) -> str:
        """Return the name of the function's file, from the default name."""
        return self.function.rpartition(".")[2]

    def named(self, names: NameSettings) -> ManagedJob[_S]:
        """Return the job with a stack's names."""
        return replace(self, name=names.render(self.name), function=names.render(self.function))

    def file_with(self, settings: Settings) -> str:
        """Return the name of the function's file with these settings."""
        return f"{self.file}_many" if sends_several(settings) else self.file

    @property
    def command(self) -> str:
        """Return the SQL that runs the function.

        With the schema: otherwise the search_path of the job's role picks the function. Without a semicolon, which
        Studio's editor mangles.
        """
        return f"SELECT {self.function}()"

    @property
    def sender(self) -> str:
        """Return the job's name in our log of requests."""
        return self.name.replace("-", "_")

    @property
    def sends(self) -> bool:
        """Return whether the function sends requests, for which it reads the key."""
        return issubclass(self.settings, SenderSettings)

    def settings_in(self, settings: StackSettings) -> _S:
        """Return the job's settings of a stack."""
        found: _S = getattr(settings, self.key)
        return found

    def spec(self, owner: Owner, schedule: str, *, active: bool = True) -> CronJobSpec:
        """Return the job's spec."""
        return CronJobSpec(name=self.name, schedule=schedule, command=self.command, active=active, **asdict(owner))


PROCESSOR = ManagedJob("processor", "bubble-sync-processor", "public.invoke_bubble_sync_processor", ProcessorSettings)
RETRY = ManagedJob("retry", "bubble-sync-retry", "public.invoke_bubble_sync_retry", RetrySettings)
MANAGED_JOBS: tuple[ManagedJob[JobSettings], ...] = (
    PROCESSOR,
    RETRY,
)
"""The jobs of every stack, each with a schedule in the configuration, and a pause if wanted."""
ALERT_JOB = ManagedJob("alerts", "bubble-sync-alerts", "bubble_sync.alert", AlertSettings)
"""The job of a stack with alerts, which runs every minute."""
HISTORY_JOB = ManagedJob("history", "bubble-sync-history", "bubble_sync.delete_old_runs", HistorySettings)
"""The job of a stack with `history.keepDays`, which deletes old runs of pg_cron."""
VENDOR_HISTORY_JOB = "delete-job-run-details"
"""The name of the clean-up job in pg_cron's README, which Supabase's dashboard creates. We never touch that job."""


def optional_jobs(settings: StackSettings) -> Iterator[ManagedJob[Settings]]:
    """Yield the jobs that a stack has only with certain settings."""
    if settings.alerting:
        yield ALERT_JOB
    if settings.history.keep_days is not None:
        yield HISTORY_JOB


def sends_several(settings: Settings | None) -> bool:
    """Return whether a job may send several requests in one run."""
    return isinstance(settings, ProcessorSettings) and settings.requests_per_tick > 1


def is_guarded(settings: Settings | None) -> bool:
    """Return whether the unanswered requests of a job are bounded."""
    guarded = isinstance(settings, SenderSettings) and settings.overlap_guard
    return guarded or sends_several(settings) or is_woken(settings)


def is_woken(settings: Settings | None) -> bool:
    """Return whether an insert into the queue sends the job's request."""
    return isinstance(settings, ProcessorSettings) and settings.wake
