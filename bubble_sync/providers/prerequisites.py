"""Prerequisites as a resource: preview shows what is missing, `up` refuses before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import pulumi
from pulumi.dynamic import CheckResult, ReadResult, Resource

from bubble_sync.model.setup import object_names
from bubble_sync.providers.converging import ConvergingProvider, Props
from bubble_sync.specs import PrerequisitesSpec


class PrerequisitesProvider(ConvergingProvider):
    """Observes prerequisites."""

    spec_type = PrerequisitesSpec

    def kind(self) -> ModuleType:
        """Import `converge.prerequisites`."""
        from bubble_sync.converge import prerequisites

        return prerequisites

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Validate; a state of 0.1.0 goes on without names, as long as the stack wants what it could want then."""
        result = super().check(_olds, news)
        if _olds and "objects" not in _olds:
            others = [one for one in result.inputs["objects"] if not one.startswith("secret ")]
            if others == list(object_names()):
                del result.inputs["objects"]
        return result

    def read(self, id_: str, props: Props) -> ReadResult:
        """Observe what is missing; a state of 0.1.0 goes on without names."""
        result = super().read(id_, props)
        if "objects" not in props:
            for known in (result.outs or {}, result.inputs or {}):
                known.pop("objects", None)
        return result


class Prerequisites(Resource, module="bubble_sync", name="Prerequisites"):
    """Everything that must be there before; wanted is that nothing is missing."""

    def __init__(
        self, resource_name: str, *, objects: Sequence[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare that nothing may be missing, and that none of these objects may be refused."""
        props = {"missing": [], "objects": list(objects)}
        super().__init__(PrerequisitesProvider(), resource_name, props, opts)
