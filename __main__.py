"""Declare the stack: settings -> SyncSetup -> exports."""

import pulumi

from components import SyncSetup, SyncSetupArgs, key_facts, read_stack

settings, project_ref = read_stack()
sync = SyncSetup("sync", SyncSetupArgs.of(settings, project_ref))

pulumi.export("jobids", sync.jobids)
pulumi.export("functions", sync.function_names)
pulumi.export("extensionVersions", sync.extension_versions)
pulumi.export("endpoint", f"{settings.url}/functions/v1/{settings.names.edge_function}")
pulumi.export("key", key_facts(settings))
