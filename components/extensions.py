"""Declare the extensions of the sync."""

from __future__ import annotations

import pulumi

from bubble_sync.model.setup import EXTENSIONS
from bubble_sync.providers.extension import Extension
from bubble_sync.specs import Keeper


class Extensions(pulumi.ComponentResource):
    """The extensions pg_cron, pg_net and supabase_vault."""

    versions: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, *, keeper: Keeper, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the three extensions."""
        super().__init__("bubble-sync:index:Extensions", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        extensions = {one: Extension(f"{name}-{one}", name=one, keeper=keeper, opts=child) for one in EXTENSIONS}
        self.versions = {one: extension.version for one, extension in extensions.items()}
        self.register_outputs({"versions": self.versions})
