"""The settings that decide the objects of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bubble_sync.config.settings import AlertSettings, HistorySettings, JobSettings, NameSettings, StackSettings
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.model.secrets import MANAGED_SECRETS
from bubble_sync.specs import Owner


def default_jobs() -> dict[str, JobSettings]:
    """Return the default settings of each job by key."""
    return {job.key: job.settings.model_validate({}) for job in MANAGED_JOBS}


@dataclass(frozen=True, kw_only=True)
class SetupSettings:
    """Everything that decides a stack's objects, except for the values of secrets."""

    owner: Owner
    secrets: Mapping[str, str]
    """The name in Vault of each secret by role."""
    names: NameSettings = field(default_factory=NameSettings)
    allow_http: bool = False
    jobs: Mapping[str, JobSettings] = field(default_factory=default_jobs)
    """The settings of each job by key."""
    dispatch_log: bool = True
    history: HistorySettings = field(default_factory=HistorySettings)
    alerts: AlertSettings | None = None
    monitor_role: str = ""

    @classmethod
    def of(cls, settings: StackSettings, owner: Owner) -> SetupSettings:
        """Take them from a stack's configuration."""
        return cls(
            owner=owner,
            secrets={
                one.role: one.name_in(settings, settings.names)
                for one in MANAGED_SECRETS
                if one.value_in(settings) is not None
            },
            names=settings.names,
            allow_http=settings.allow_http,
            jobs={job.key: job.settings_in(settings) for job in MANAGED_JOBS},
            dispatch_log=settings.dispatch_log,
            history=settings.history,
            alerts=settings.alerts if settings.alerting else None,
            monitor_role=settings.access.monitor_role,
        )
