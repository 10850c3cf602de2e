"""The functions that the jobs run, and the private one that both use."""

from __future__ import annotations

import pulumi

from bubble_sync.functions import function_specs
from bubble_sync.providers.function import Function
from bubble_sync.settings import ProcessorSettings, RetrySettings
from bubble_sync.specs import Keeper


class SyncFunctions(pulumi.ComponentResource):
    """The two public functions over `bubble_sync.send`, with this stack's numbers."""

    names: list[pulumi.Output[str]]

    def __init__(  # one argument for each declared constant's source
        self,
        name: str,
        *,
        processor: ProcessorSettings,
        retry: RetrySettings,
        supabase_url_name: str,
        service_role_key_name: str,
        keeper: Keeper,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare `send` first: the public functions call it."""
        super().__init__("bubble-sync:index:SyncFunctions", name, {}, opts)
        send, *public = function_specs(processor, retry, supabase_url_name, service_role_key_name, keeper)
        shared = Function(f"{name}-send", spec=send, opts=pulumi.ResourceOptions(parent=self))
        after = pulumi.ResourceOptions(parent=self, depends_on=[shared])
        functions = [Function(f"{name}-{spec.name.removeprefix('public.')}", spec=spec, opts=after) for spec in public]
        self.names = [function.name for function in functions]
        self.register_outputs({"names": self.names})
