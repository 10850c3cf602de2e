"""Declare the whole set-up as one component, with its order and dependencies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from bubble_sync.config.session_address import SessionAddress, session_address
from bubble_sync.config.settings import HistorySettings, JobSettings, ProcessorSettings, RetrySettings, StackSettings
from bubble_sync.errors import SyncError
from bubble_sync.model.jobs import MANAGED_JOBS, PROCESSOR, RETRY
from bubble_sync.model.secrets import MANAGED_SECRETS, WEBHOOK
from bubble_sync.model.setup import Group, SetupSettings, default_jobs, groups
from bubble_sync.providers.ledger import Ledger
from bubble_sync.providers.prerequisites import Prerequisites
from bubble_sync.specs import FunctionSpec, LedgerSpec, Owner, PrerequisitesSpec

from .alerts import AlertsArgs
from .object_group import ObjectGroup
from .program import configured
from .vault_secrets import VaultSecretsArgs


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
        return {**self.secrets.values, **({WEBHOOK.role: self.alerts.webhook_url} if self.alerts else {})}

    def setup(self, stack: str) -> SetupSettings:
        """Return everything that decides the objects, except for the values of secrets."""
        return SetupSettings(
            owner=Owner(stack, self.project_ref),
            secrets={one.role: one.name_in(self.secrets) for one in MANAGED_SECRETS if one.role in self.values},
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

    values = values_of(args)
    if all(isinstance(value, str) for value in values.values()):
        return other(values)
    return pulumi.Output.unsecret(pulumi.Output.all(**values).apply(other))


class SyncSetup(pulumi.ComponentResource):
    """All groups of the declaration, each after the one before; destroyed in reverse."""

    extension_versions: dict[str, pulumi.Output[str]]
    function_names: list[pulumi.Output[str]]
    jobids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: SyncSetupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare every object of the sync."""
        super().__init__("bubble-sync:index:SyncSetup", name, {}, opts)
        self.extension_versions, self.function_names, self.jobids = {}, [], {}
        before: list[pulumi.Resource] = []
        for group in groups(args.setup(pulumi.get_stack())):
            after = pulumi.ResourceOptions(parent=self, depends_on=before)
            before = [self._declare(f"{name}-{group.name}", group, args, after)]
        self.register_outputs({"jobids": self.jobids})

    def _declare(self, name: str, group: Group, args: SyncSetupArgs, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        match group.objects:
            case [PrerequisitesSpec() as wanted]:
                return Prerequisites(name, objects=wanted.objects, opts=opts)
            case [LedgerSpec(tables=tables, grantees=roles)]:
                owner = Owner(pulumi.get_stack(), args.project_ref)
                own = _own(args)
                return Ledger(name, owner=owner, tables=tables, grantees=roles, own_arguments=own, opts=opts)
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
        made = ObjectGroup(name, group, args.values, opts=opts)
        self.extension_versions |= made.versions
        self.function_names += made.names
        self.jobids |= made.jobids
        return made
