"""Manage a pg_cron job as a resource."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import DiffResult, ReadResult, Resource, UpdateResult

from bubble_sync.config.schedules import require_known
from bubble_sync.providers.converging import ConvergingProvider, Props
from bubble_sync.specs import CronJobSpec


class CronJobProvider(ConvergingProvider):
    """The provider of jobs."""

    spec_type = CronJobSpec

    def read(self, id_: str, props: Props) -> ReadResult:
        """Observe the job; raise for another role's job, which is not missing."""
        result = super().read(id_, props)
        if not result.id:
            self._require_same_role(props)
        return result

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Reject a schedule that the last observed pg_cron does not support, already in a preview."""
        require_known(*(str(given) for given in (_news["name"], _news["schedule"], _olds.get("pg_cron", ""))))
        return super().diff(_id, _olds, _news)

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Converge the job as its owner."""
        self._require_same_role(_olds)
        return super().update(_id, _olds, _news)

    def delete(self, _id: str, _props: Props) -> None:
        """Unschedule the job as its owner."""
        self._require_same_role(_props)
        super().delete(_id, _props)

    def _require_same_role(self, props: Props) -> None:
        from bubble_sync.converge.cron_jobs import require_same_role

        name, username = str(props["name"]), str(props.get("username", ""))
        self._database().read(f"reading job {name}", lambda conn: require_same_role(conn, name, username))


class CronJob(Resource, module="bubble_sync", name="CronJob"):
    """A job of the connecting role."""

    jobid: pulumi.Output[str]
    username: pulumi.Output[str]

    def __init__(self, resource_name: str, *, spec: CronJobSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a job in the stack's database with the configurable part of its spec."""
        wanted = {"name", "schedule", "command", "active", "stack", "project_ref"}
        props = {**spec.model_dump(include=wanted), "jobid": None, "username": None}
        super().__init__(CronJobProvider(), resource_name, props, opts)
