"""Declare every object of the sync, from the stack file."""

import pulumi

from bubble_sync import SyncSetup, SyncSetupArgs, read_stack

settings, project_ref = read_stack()
sync = SyncSetup("sync", SyncSetupArgs.of(settings, project_ref))

pulumi.export("jobids", sync.jobids)
pulumi.export("functions", sync.function_names)
pulumi.export("extensionVersions", sync.extension_versions)
