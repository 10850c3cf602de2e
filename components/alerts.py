"""The arguments of the alerts."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from bubble_sync.config.settings import AlertSettings, StackSettings


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
