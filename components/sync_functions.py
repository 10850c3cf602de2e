"""Declare the functions of the jobs, and the private ones."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.function import Function
from bubble_sync.specs import FunctionSpec


class SyncFunctions(pulumi.ComponentResource):
    """The two public functions and the private ones, with this stack's constants."""

    names: list[pulumi.Output[str]]

    def __init__(self, name: str, *, specs: Sequence[FunctionSpec], opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the private functions before the public ones, which call them."""
        super().__init__("bubble-sync:index:SyncFunctions", name, {}, opts)
        private: list[Resource] = []
        self.names = []
        for spec in specs:
            schema, bare = spec.name.split(".")
            after = private if schema == "public" else []
            opts = pulumi.ResourceOptions(parent=self, depends_on=after)
            function = Function(f"{name}-{bare}", spec=spec, opts=opts)
            if schema == "public":
                self.names.append(function.name)
            else:
                private.append(function)
        self.register_outputs({"names": self.names})
