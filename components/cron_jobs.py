"""Declare the two jobs."""

from __future__ import annotations

import pulumi

from bubble_sync.config.settings import ProcessorSettings, RetrySettings
from bubble_sync.model.setup import job_specs
from bubble_sync.providers.cron_job import CronJob
from bubble_sync.specs import Keeper


class CronJobs(pulumi.ComponentResource):
    """The processor's and the retry's job."""

    jobids: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        processor: ProcessorSettings,
        retry: RetrySettings,
        keeper: Keeper,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare both jobs."""
        super().__init__("bubble-sync:index:CronJobs", name, {}, opts)
        jobs: dict[str, CronJob] = {}
        for spec in job_specs(processor, retry, keeper):
            jobs[spec.name] = CronJob(
                f"{name}-{spec.name}",
                spec=spec,
                # In sequence, so that new projects get the jobids of the guide.
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(jobs.values())),
            )
        self.jobids = {job: resource.jobid for job, resource in jobs.items()}
        self.register_outputs({"jobids": self.jobids})
