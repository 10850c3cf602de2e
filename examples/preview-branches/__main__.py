"""One program for a project and its preview branches: a stack file gives the project, a branch's stack copies it."""

import pulumi

from bubble_sync import SyncSetup, SyncSetupArgs, read_stack

settings, project_ref = read_stack()
sync = SyncSetup("sync", SyncSetupArgs.of(settings, project_ref))

pulumi.export("jobids", sync.jobids)
pulumi.export("endpoint", f"{settings.url}/functions/v1/bubble_sync")
