"""Prerequisites as a resource: preview shows what is missing, `up` refuses before anything is changed."""

from __future__ import annotations

from types import ModuleType

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import PrerequisitesSpec


class PrerequisitesProvider(ConvergingProvider):
    """Observes prerequisites."""

    spec_type = PrerequisitesSpec

    def kind(self) -> ModuleType:
        """Import `converge.prerequisites`."""
        from bubble_sync.converge import prerequisites

        return prerequisites


class Prerequisites(Resource, module="bubble_sync", name="Prerequisites"):
    """Everything that must be there before; wanted is that nothing is missing."""

    def __init__(self, resource_name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare that nothing may be missing."""
        super().__init__(PrerequisitesProvider(), resource_name, {"missing": []}, opts)
