"""Manage prerequisites as a resource: preview lists missing ones, `up` refuses before any change."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, ReadResult, Resource

from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.model.jobs import PROCESSOR
from bubble_sync.model.setup import object_names
from bubble_sync.providers.converging import ConvergingProvider, Props
from bubble_sync.specs import PrerequisitesSpec


class PrerequisitesProvider(ConvergingProvider):
    """The provider of prerequisites."""

    spec_type = PrerequisitesSpec

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Validate, and reject another prefix; a state of 0.1.0 stays without names until new objects are wanted."""
        result = super().check(_olds, news)
        before, now = _prefix(_olds.get("objects")), _prefix(result.inputs["objects"])
        if before and before != now:
            # Two prefixes are two sets of objects, and the providers know the new one alone.
            what = f"the prefix of a stack that is up cannot change from {before} to {now}: nothing was changed. Set"
            way = f"{NAMESPACE}:names.prefix to {before} again; another prefix needs another stack"
            return CheckResult(result.inputs, [CheckFailure("objects", f"{what} {way}")])
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


def _prefix(objects: Sequence[str] | None) -> str:
    """Return the prefix of the stack's jobs; nothing for a state of 0.1.0."""
    end = PROCESSOR.name.removeprefix(NAMESPACE)
    jobs = (one.removeprefix("job ") for one in objects or () if one.startswith("job ") and one.endswith(end))
    return next((job.removesuffix(end) for job in jobs), "")


class Prerequisites(Resource, module="bubble_sync", name="Prerequisites"):
    """The requirements of the sync, none of which may be missing."""

    def __init__(
        self, resource_name: str, *, objects: Sequence[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare that no requirement may be missing and none of these objects refused."""
        props = {"missing": [], "objects": list(objects)}
        super().__init__(PrerequisitesProvider(), resource_name, props, opts)
