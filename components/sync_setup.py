"""Declare the whole set-up as one component, with its order and dependencies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi

from bubble_sync.config.session_address import SessionAddress, session_address
from bubble_sync.config.settings import ProcessorSettings, RetrySettings, StackSettings
from bubble_sync.errors import SyncError
from bubble_sync.model.function_specs import function_specs
from bubble_sync.model.setup import object_names, observe_spec, tables_of
from bubble_sync.providers.ledger import Ledger
from bubble_sync.providers.prerequisites import Prerequisites
from bubble_sync.specs import Keeper

from .alerts import Alerts, AlertsArgs
from .cron_jobs import CronJobs
from .extensions import Extensions
from .program import configured
from .sync_functions import SyncFunctions
from .vault_secrets import VaultSecrets, VaultSecretsArgs


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
    dispatch_log: bool = True
    alerts: AlertsArgs | None = None
    access: AccessArgs | None = None

    @classmethod
    def of(cls, settings: StackSettings, project_ref: str | None) -> SyncSetupArgs:
        """Return the arguments from a stack's settings."""
        secrets = VaultSecretsArgs(
            supabase_url=settings.url,
            service_role_key=settings.service_role_key,
            supabase_url_name=settings.supabase_url_name,
            service_role_key_name=settings.service_role_key_name,
        )
        return cls(
            secrets=secrets,
            project_ref=project_ref or "",
            processor=settings.processor,
            retry=settings.retry,
            dispatch_log=settings.dispatch_log,
            alerts=AlertsArgs.of(settings),
            access=AccessArgs.of(settings),
        )


def _own(args: SyncSetupArgs) -> pulumi.Input[bool]:
    """Return whether the arguments differ from the configuration, which is all that commands read."""
    try:
        wanted = SyncSetupArgs.of(*configured())
    except SyncError:
        return True
    alerts, access = args.alerts, args.access
    values = (
        args.secrets.supabase_url,
        args.secrets.service_role_key,
        alerts.webhook_url if alerts else "",
        access.monitor_password if access else "",
    )

    def other(known: Sequence[Any]) -> bool:
        secrets = replace(args.secrets, supabase_url=known[0], service_role_key=known[1])
        mine = replace(
            args,
            secrets=secrets,
            alerts=replace(alerts, webhook_url=known[2]) if alerts else None,
            access=replace(access, monitor_password=known[3]) if access else None,
        )
        return mine != wanted

    if all(isinstance(value, str) for value in values):
        return other(values)
    return pulumi.Output.unsecret(pulumi.Output.all(*values).apply(other))


class SyncSetup(pulumi.ComponentResource):
    """Prerequisites, ledger, extensions, secrets, functions, jobs, alerts and access; destroyed in reverse."""

    extension_versions: dict[str, pulumi.Output[str]]
    function_names: list[pulumi.Output[str]]
    jobids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: SyncSetupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare all objects of the sync."""
        super().__init__("bubble-sync:index:SyncSetup", name, {}, opts)
        keeper = Keeper(pulumi.get_stack(), args.project_ref)

        names = args.secrets.supabase_url_name, args.secrets.service_role_key_name
        objects = object_names(*names, alerts=args.alerts is not None, observe=args.access is not None)
        prerequisites = Prerequisites(f"{name}-prerequisites", objects=objects, opts=self._after())
        monitors = [args.access.monitor_role] if args.access else []
        tables = tables_of(args.dispatch_log, args.processor, args.retry, alerts=args.alerts is not None)
        after = self._after(prerequisites)
        ledger = Ledger(
            f"{name}-ledger",
            keeper=keeper,
            tables=tables,
            grantees=monitors,
            own_arguments=_own(args),
            opts=after,
        )
        extensions = Extensions(f"{name}-extensions", keeper=keeper, opts=self._after(ledger))
        secrets = VaultSecrets(f"{name}-secrets", args.secrets, keeper=keeper, opts=self._after(extensions))
        specs = function_specs(args.processor, args.retry, *names, keeper, dispatch_log=args.dispatch_log)
        functions = SyncFunctions(f"{name}-functions", specs=specs, opts=self._after(secrets))
        jobs = CronJobs(
            f"{name}-jobs", processor=args.processor, retry=args.retry, keeper=keeper, opts=self._after(functions)
        )
        self.jobids, last = jobs.jobids, self._after(jobs)
        if args.alerts is not None:
            alerts = Alerts(f"{name}-alerts", args.alerts, dispatch_log=args.dispatch_log, keeper=keeper, opts=last)
            self.jobids, last = {**self.jobids, **alerts.jobids}, self._after(alerts)
        if args.access is not None:
            self._give_access(f"{name}-access", args, args.access, keeper, last)

        self.extension_versions = extensions.versions
        self.function_names = functions.names
        self.register_outputs({"jobids": self.jobids})

    def _give_access(
        self, name: str, args: SyncSetupArgs, access: AccessArgs, keeper: Keeper, opts: pulumi.ResourceOptions
    ) -> None:
        """Declare the access last, since a function's references keep objects on destroy."""
        from .access import Access

        secrets = args.secrets
        Access(
            name,
            monitor_role=access.monitor_role,
            monitor_password=access.monitor_password,
            project_url=secrets.supabase_url,
            server=access.server,
            observe=observe_spec(
                access.monitor_role,
                secrets.supabase_url_name,
                secrets.service_role_key_name,
                keeper,
                alerts=args.alerts is not None,
            ),
            opts=opts,
        )

    def _after(self, *before: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(before))
