"""The two jobs."""

from __future__ import annotations

import pulumi

from bubble_sync.providers.cron_job import CronJob
from bubble_sync.settings import ProcessorSettings, RetrySettings
from bubble_sync.specs import Keeper


class CronJobs(pulumi.ComponentResource):
    """The processor's and the retry's schedule."""

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
        """Declare both jobs; their commands have no semicolon, which Studio's editor would mangle."""
        super().__init__("bubble-sync:index:CronJobs", name, {}, opts)
        processing = CronJob(
            f"{name}-bubble-sync-processor",
            name="bubble-sync-processor",
            schedule=processor.schedule,
            command="SELECT invoke_bubble_sync_processor()",
            active=processor.active,
            keeper=keeper,
            opts=pulumi.ResourceOptions(parent=self),
        )
        retrying = CronJob(
            f"{name}-bubble-sync-retry",
            name="bubble-sync-retry",
            schedule=retry.schedule,
            command="SELECT invoke_bubble_sync_retry()",
            active=retry.active,
            keeper=keeper,
            # One after the other, so that a fresh project always gets the jobids that the guide shows.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[processing]),
        )
        self.jobids = {"bubble-sync-processor": processing.jobid, "bubble-sync-retry": retrying.jobid}
        self.register_outputs({"jobids": self.jobids})
