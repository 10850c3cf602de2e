"""Manage a trigger on the queue as a resource."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import TriggerSpec


class TriggerProvider(ConvergingProvider):
    """The provider of triggers."""

    spec_type = TriggerSpec


class Trigger(Resource, module="bubble_sync", name="Trigger"):
    """A trigger, with all properties that can be changed by hand."""

    name: pulumi.Output[str]

    def __init__(self, resource_name: str, *, spec: TriggerSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a trigger by its spec."""
        super().__init__(TriggerProvider(), resource_name, spec.model_dump(mode="json"), opts)
