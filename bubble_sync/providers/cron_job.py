"""A pg_cron job as a resource."""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import Any

import pulumi
from pulumi.dynamic import ReadResult, Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import CronJobSpec, Keeper


class CronJobProvider(ConvergingProvider):
    """Converges a job."""

    spec_type = CronJobSpec

    def kind(self) -> ModuleType:
        """Import `converge.cron`."""
        from bubble_sync.converge import cron

        return cron

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Observe the job; one that another role owns is an error, and not gone."""
        result = super().read(id_, props)
        if not result.id and "username" in props:
            from bubble_sync.converge.cron import require_same_role

            spec, username = CronJobSpec.model_validate(self._spec(props).model_dump()), str(props["username"])
            doing = f"reading {spec.object_name}"
            self._database().read(doing, lambda conn: require_same_role(conn, spec, username))
        return result


class CronJob(Resource, module="bubble_sync", name="CronJob"):
    """A job of the connecting role."""

    jobid: pulumi.Output[str]
    username: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        schedule: pulumi.Input[str],
        command: pulumi.Input[str],
        active: pulumi.Input[bool],
        keeper: Keeper,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a job in the database that the stack connects to."""
        props = {
            "name": name,
            "schedule": schedule,
            "command": command,
            "active": active,
            **asdict(keeper),
            "jobid": None,
            "username": None,
        }
        super().__init__(CronJobProvider(), resource_name, props, opts)
