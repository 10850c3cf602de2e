"""The stock stack: every object of the sync, from the stack file alone."""

import pulumi

from bubble_sync import SyncSetup, SyncSetupArgs, read_stack

settings, project_ref = read_stack()
sync = SyncSetup("sync", SyncSetupArgs.of(settings, project_ref))

pulumi.export("jobids", sync.jobids)
