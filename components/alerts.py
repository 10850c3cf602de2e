"""Declare the alerts: the webhook's secret, the functions, and the job."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.config.settings import AlertSettings, StackSettings
from bubble_sync.config.validators import WEBHOOK_NAME
from bubble_sync.model.function_specs import alert_functions
from bubble_sync.model.setup import WEBHOOK_DESCRIPTION, alert_job
from bubble_sync.providers.cron_job import CronJob
from bubble_sync.providers.function import Function
from bubble_sync.providers.vault_secret import VaultSecret
from bubble_sync.specs import FunctionSpec, Keeper


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """The webhook and the thresholds of the alerts."""

    webhook_url: pulumi.Input[str]
    numbers: AlertSettings

    @classmethod
    def of(cls, settings: StackSettings) -> AlertsArgs | None:
        """Return the arguments from a stack's settings; None without alerts."""
        if settings.alert_webhook_url is None:
            return None
        return cls(webhook_url=settings.alert_webhook_url, numbers=settings.alerts)


class Alerts(pulumi.ComponentResource):
    """The objects of the alerts, except their table next to the ledger."""

    jobids: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: AlertsArgs,
        *,
        dispatch_log: bool,
        keeper: Keeper,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare secret, functions and job, in order of dependency."""
        super().__init__("bubble-sync:index:Alerts", name, {}, opts)
        before: list[Resource] = [
            VaultSecret(
                f"{name}-{WEBHOOK_NAME}",
                name=WEBHOOK_NAME,
                value=args.webhook_url,
                description=WEBHOOK_DESCRIPTION,
                keeper=keeper,
                opts=pulumi.ResourceOptions(parent=self),
            )
        ]
        *private, alert = alert_functions(args.numbers, keeper, dispatch_log=dispatch_log)
        before += [self._function(name, spec) for spec in private]
        before.append(self._function(name, alert, *before))
        spec = alert_job(keeper)
        opts = pulumi.ResourceOptions(parent=self, depends_on=before)
        job = CronJob(f"{name}-{spec.name}", spec=spec, opts=opts)
        self.jobids = {spec.name: job.jobid}
        self.register_outputs({"jobids": self.jobids})

    def _function(self, name: str, spec: FunctionSpec, *before: Resource) -> Function:
        bare = spec.name.split(".")[1]
        return Function(f"{name}-{bare}", spec=spec, opts=pulumi.ResourceOptions(parent=self, depends_on=list(before)))
