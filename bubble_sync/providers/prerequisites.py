"""Manage prerequisites as a resource: preview lists missing ones, `up` refuses before any change."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import CheckResult, ReadResult, Resource

from bubble_sync.model.setup import object_names
from bubble_sync.providers.converging import ConvergingProvider, Props
from bubble_sync.specs import PrerequisitesSpec


class PrerequisitesProvider(ConvergingProvider):
    """The provider of prerequisites."""

    spec_type = PrerequisitesSpec

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Validate; a state of 0.1.0 stays without names until the stack needs new objects."""
        result = super().check(_olds, news)
        if _olds and "objects" not in _olds:
            others = [one for one in result.inputs["objects"] if not one.startswith("secret ")]
            if others == list(object_names()):
                del result.inputs["objects"]
        return result

    def read(self, id_: str, props: Props) -> ReadResult:
        """Observe missing prerequisites; a state of 0.1.0 stays without names."""
        result = super().read(id_, props)
        if "objects" not in props:
            for known in (result.outs or {}, result.inputs or {}):
                known.pop("objects", None)
        return result


class Prerequisites(Resource, module="bubble_sync", name="Prerequisites"):
    """The requirements of the sync, none of which may be missing."""

    def __init__(
        self, resource_name: str, *, objects: Sequence[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare that no requirement may be missing and none of these objects refused."""
        props = {"missing": [], "objects": list(objects)}
        super().__init__(PrerequisitesProvider(), resource_name, props, opts)
