"""One program for every environment: each stack file gives its own project, secrets and numbers."""

import pulumi

from bubble_sync import SyncSetup, SyncSetupArgs, read_stack

settings, project_ref = read_stack()
sync = SyncSetup("sync", SyncSetupArgs.of(settings, project_ref))

pulumi.export("jobids", sync.jobids)
pulumi.export("maxItems", settings.processor.max_items)
