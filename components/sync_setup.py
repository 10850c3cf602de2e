"""Declare the whole set-up as one component, with its arguments, its order and its dependencies."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pulumi

from bubble_sync.config.database_url import NAMESPACE, SessionAddress, session_address
from bubble_sync.config.settings import (
    AlertSettings,
    HistorySettings,
    JobSettings,
    NameSettings,
    ProcessorSettings,
    RetrySettings,
    StackSettings,
)
from bubble_sync.errors import SyncError
from bubble_sync.model.jobs import MANAGED_JOBS, PROCESSOR, RETRY
from bubble_sync.model.secrets import ALERT_SECRETS, KEY, MANAGED_SECRETS, URL
from bubble_sync.model.setup import Group, groups, settings_text
from bubble_sync.model.setup_settings import SetupSettings, default_jobs
from bubble_sync.providers.engine import end_with_engine
from bubble_sync.providers.ledger import Ledger
from bubble_sync.providers.prerequisites import Prerequisites
from bubble_sync.specs import FunctionSpec, LedgerSpec, Owner, PrerequisitesSpec

from .object_group import ObjectGroup
from .program import configured

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class VaultSecretsArgs:
    """Names and values of the secrets."""

    supabase_url: pulumi.Input[str]
    service_role_key: pulumi.Input[str]
    supabase_url_name: str = "supabase_url"
    service_role_key_name: str = "service_role_key"
    others: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """The values of further secrets by role."""

    @classmethod
    def of(cls, settings: StackSettings) -> VaultSecretsArgs:
        """Return the arguments from a stack's settings."""
        values = {one.role: one.value_in(settings) for one in MANAGED_SECRETS if one not in (URL, KEY, *ALERT_SECRETS)}
        return cls(
            supabase_url=settings.url,
            service_role_key=settings.service_role_key,
            supabase_url_name=settings.supabase_url_name,
            service_role_key_name=settings.service_role_key_name,
            others={role: value for role, value in values.items() if value is not None},
        )

    @property
    def values(self) -> dict[str, pulumi.Input[str]]:
        """Return the value of each secret by role."""
        return {URL.role: self.supabase_url, KEY.role: self.service_role_key, **self.others}


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """The destinations and the thresholds of the alerts."""

    webhook_url: pulumi.Input[str] | None = None
    heartbeat_url: pulumi.Input[str] | None = None
    pager_duty_routing_key: pulumi.Input[str] | None = None
    opsgenie_api_key: pulumi.Input[str] | None = None
    numbers: AlertSettings

    @classmethod
    def of(cls, settings: StackSettings) -> AlertsArgs | None:
        """Return the arguments from a stack's settings; None without a destination."""
        if not settings.alerting:
            return None
        secrets = {one.setting.removeprefix("alert_"): one.value_in(settings) for one in ALERT_SECRETS}
        return cls(**secrets, numbers=settings.alerts)

    @property
    def values(self) -> dict[str, pulumi.Input[str]]:
        """Return the value of each secret by role."""
        values = {one.role: getattr(self, one.setting.removeprefix("alert_")) for one in ALERT_SECRETS}
        return {role: value for role, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """The monitor role, and the server where pulumi-postgresql creates it."""

    monitor_role: str
    monitor_password: pulumi.Input[str]
    server: SessionAddress

    @classmethod
    def of(cls, settings: StackSettings) -> AccessArgs | None:
        """Return the arguments from a stack's settings; None without such a role."""
        if not settings.access.monitor_role:
            return None
        server = session_address(settings.address(os.environ))
        password = settings.monitor_password or ""
        return cls(monitor_role=settings.access.monitor_role, monitor_password=password, server=server)


@dataclass(frozen=True, kw_only=True)
class SyncSetupArgs:
    """The arguments of one environment's sync."""

    secrets: VaultSecretsArgs
    project_ref: str = ""
    """Empty when no setting names a project: a custom domain, a local address."""
    names: NameSettings = field(default_factory=NameSettings)
    """The names in the configuration, which the providers read too."""
    allow_http: bool = False
    processor: ProcessorSettings = field(default_factory=ProcessorSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    other_jobs: Mapping[str, JobSettings] = field(default_factory=dict)
    """The settings of further jobs by key."""
    dispatch_log: bool = True
    history: HistorySettings = field(default_factory=HistorySettings)
    alerts: AlertsArgs | None = None
    access: AccessArgs | None = None

    @classmethod
    def of(cls, settings: StackSettings, project_ref: str | None) -> SyncSetupArgs:
        """Return the arguments from a stack's settings."""
        return cls(
            secrets=VaultSecretsArgs.of(settings),
            project_ref=project_ref or "",
            names=settings.names,
            allow_http=settings.allow_http,
            processor=settings.processor,
            retry=settings.retry,
            other_jobs={job.key: job.settings_in(settings) for job in MANAGED_JOBS if job not in (PROCESSOR, RETRY)},
            dispatch_log=settings.dispatch_log,
            history=settings.history,
            alerts=AlertsArgs.of(settings),
            access=AccessArgs.of(settings),
        )

    @property
    def values(self) -> dict[str, pulumi.Input[str]]:
        """Return the value of each secret by role."""
        return {**self.secrets.values, **(self.alerts.values if self.alerts else {})}

    def setup(self, stack: str) -> SetupSettings:
        """Return everything that decides the objects, except for the values of secrets."""
        return SetupSettings(
            owner=Owner(stack, self.project_ref),
            secrets={
                one.role: one.name_in(self.secrets, self.names) for one in MANAGED_SECRETS if one.role in self.values
            },
            names=self.names,
            allow_http=self.allow_http,
            jobs={**default_jobs(), PROCESSOR.key: self.processor, RETRY.key: self.retry, **self.other_jobs},
            dispatch_log=self.dispatch_log,
            history=self.history,
            alerts=self.alerts.numbers if self.alerts else None,
            monitor_role=self.access.monitor_role if self.access else "",
        )


def _own(args: SyncSetupArgs) -> pulumi.Input[bool]:
    """Return whether the arguments differ from the configuration, which is all that commands read."""
    try:
        configuration = SyncSetupArgs.of(*configured())
    except SyncError:
        return True

    def values_of(one: SyncSetupArgs) -> dict[str, pulumi.Input[str]]:
        return {**one.values, **({"monitor": one.access.monitor_password} if one.access else {})}

    def other(known: Mapping[str, Any]) -> bool:
        servers = [one.access and one.access.server for one in (args, configuration)]
        return (
            args.setup("") != configuration.setup("") or servers[0] != servers[1] or known != values_of(configuration)
        )

    return _of_values(values_of(args), other)


def _of_values(values: Mapping[str, pulumi.Input[str]], work: Callable[[Mapping[str, Any]], _T]) -> pulumi.Input[_T]:
    """Apply `work`, whose result holds no secret, to the values, of which some may be known after `up` only."""
    if all(isinstance(value, str) for value in values.values()):
        return work(values)
    return pulumi.Output.unsecret(pulumi.Output.all(**values).apply(work))


def _require_configured_names(names: NameSettings) -> None:
    """Raise pulumi.RunError for other names than the providers get, which read the configuration."""
    text = pulumi.Config(NAMESPACE).get("names") or "{}"
    if names != NameSettings.model_validate_json(text):
        raise pulumi.RunError(
            f"the names in SyncSetupArgs differ from {NAMESPACE}:names, which providers and commands read: nothing was "
            f"declared. Set {NAMESPACE}:names in the configuration of the stack, and pass settings.names"
        )


def _require_pulumi_postgresql() -> None:
    if importlib.util.find_spec("pulumi_postgresql") is None:
        raise pulumi.RunError(
            f"{NAMESPACE}:access.monitorRole needs the package pulumi-postgresql: run `make setup`, which installs it "
            "for a stack file with access, or install bubble-sync[access]"
        )


class SyncSetup(pulumi.ComponentResource):
    """All groups of the declaration, each after the one before; destroyed in reverse."""

    extension_versions: dict[str, pulumi.Output[str]]
    function_names: list[pulumi.Output[str]]
    jobids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: SyncSetupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare every object of the sync; raise pulumi.RunError without a package that the objects need."""
        end_with_engine()
        _require_configured_names(args.names)
        if args.access is not None:
            _require_pulumi_postgresql()
        super().__init__("bubble-sync:index:SyncSetup", name, {}, opts)
        self.extension_versions, self.function_names, self.jobids = {}, [], {}
        before: list[pulumi.Resource] = []
        for group in groups(args.setup(pulumi.get_stack())):
            before = [self._declare(f"{name}-{group.name}", group, args, before)]
        self.register_outputs({"jobids": self.jobids})

    def _declare(
        self, name: str, group: Group, args: SyncSetupArgs, before: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        opts = pulumi.ResourceOptions(parent=self, depends_on=before)
        match group.objects:
            case [PrerequisitesSpec() as wanted]:
                return Prerequisites(name, objects=wanted.objects, opts=opts)
            case [LedgerSpec(tables=tables, grantees=roles)]:
                owner = Owner(pulumi.get_stack(), args.project_ref)
                own = _own(args)
                settings = _of_values(args.values, partial(settings_text, args.setup(pulumi.get_stack())))
                return Ledger(
                    name,
                    owner=owner,
                    tables=tables,
                    grantees=roles,
                    own_arguments=own,
                    settings=settings,
                    opts=opts,
                )
            case [FunctionSpec() as observe] if args.access is not None:
                # Late, because this imports pulumi-postgresql.
                from .access import Access

                return Access(
                    name,
                    monitor_role=args.access.monitor_role,
                    monitor_password=args.access.monitor_password,
                    project_url=args.secrets.supabase_url,
                    server=args.access.server,
                    observe=observe,
                    opts=opts,
                )
        made = ObjectGroup(name, group, args.values, before=before, parent=self)
        self.extension_versions |= made.versions
        self.function_names += made.names
        self.jobids |= made.jobids
        return made
