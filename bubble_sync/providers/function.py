"""Manage a PL/pgSQL function as a resource."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import FunctionSpec


class FunctionProvider(ConvergingProvider):
    """The provider of functions."""

    spec_type = FunctionSpec


class Function(Resource, module="bubble_sync", name="Function"):
    """A function, with all properties that can be changed by hand."""

    name: pulumi.Output[str]

    def __init__(self, resource_name: str, *, spec: FunctionSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a function by its spec from `sql/functions`."""
        super().__init__(FunctionProvider(), resource_name, spec.model_dump(mode="json"), opts)
