"""An application's own component with the sync inside, which takes URL and key from another stack's outputs."""

import pulumi

from bubble_sync import SyncSetup, SyncSetupArgs
from bubble_sync.components import VaultSecretsArgs


class Portal(pulumi.ComponentResource):
    """The application."""

    def __init__(self, name: str, supabase: pulumi.StackReference) -> None:
        """Declare its parts."""
        super().__init__("portal:index:Portal", name)
        secrets = VaultSecretsArgs(
            supabase_url=supabase.require_output("url"),
            service_role_key=supabase.require_output("serviceRoleKey"),
        )
        # The stack had the sync at its root, as in `stock`: the alias keeps every resource.
        moved = pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)])
        self.sync = SyncSetup("sync", SyncSetupArgs(secrets=secrets), moved)
        self.register_outputs({})


portal = Portal("portal", pulumi.StackReference(pulumi.Config().require("supabaseStack")))
pulumi.export("jobids", portal.sync.jobids)
