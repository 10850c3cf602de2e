"""A group of the declaration as one component, and each of its objects as one resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.model.secrets import SecretObject
from bubble_sync.model.setup import Group
from bubble_sync.providers.cron_job import CronJob
from bubble_sync.providers.extension import Extension
from bubble_sync.providers.function import Function
from bubble_sync.providers.trigger import Trigger
from bubble_sync.providers.vault_secret import VaultSecret
from bubble_sync.specs import CronJobSpec, ExtensionSpec, FunctionSpec, Spec, TriggerSpec

_TOKENS: Mapping[str, str] = {
    "extensions": "Extensions",
    "secrets": "VaultSecrets",
    "functions": "SyncFunctions",
    "jobs": "CronJobs",
    "wake": "Wake",
    "alerts": "Alerts",
    "history": "History",
}
"""The type token of each group, which is state format."""
_OUTPUTS: Mapping[str, str] = {
    "extensions": "versions",
    "functions": "names",
    "jobs": "jobids",
    "alerts": "jobids",
    "history": "jobids",
}


class ObjectGroup(pulumi.ComponentResource):
    """The objects of one group, each after those of earlier stages."""

    versions: dict[str, pulumi.Output[str]]
    """The version of each extension."""
    names: list[pulumi.Output[str]]
    """The functions of the jobs."""
    jobids: dict[str, pulumi.Output[str]]
    """The id of each job."""

    def __init__(
        self,
        name: str,
        group: Group,
        values: Mapping[str, pulumi.Input[str]],
        *,
        before: Sequence[pulumi.Resource],
        parent: pulumi.Resource,
    ) -> None:
        """Declare the objects after the group `before`; `values` are the secrets' values by role."""
        opts = pulumi.ResourceOptions(parent=parent, depends_on=before)
        super().__init__(f"bubble-sync:index:{_TOKENS[group.name]}", name, {}, opts)
        self.versions, self.names, self.jobids = {}, [], {}
        # Each object, too: where only some objects of two groups go, the engine does not order by the groups.
        made = list(before)
        for stage in group.stages:
            child = pulumi.ResourceOptions(parent=self, depends_on=made)
            made = [*made, *(self._declare(name, one, values, child) for one in stage)]
        output = _OUTPUTS.get(group.name)
        self.register_outputs({output: getattr(self, output)} if output else {})

    def _declare(
        self,
        name: str,
        wanted: Spec | SecretObject,
        values: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions,
    ) -> Resource:
        if isinstance(wanted, SecretObject):
            return VaultSecret(f"{name}-{wanted.name}", declared=wanted, value=values[wanted.role], opts=opts)
        if isinstance(wanted, ExtensionSpec):
            extension = Extension(f"{name}-{wanted.name}", spec=wanted, opts=opts)
            self.versions[wanted.name] = extension.version
            return extension
        if isinstance(wanted, FunctionSpec):
            schema, bare = wanted.name.split(".")
            function = Function(f"{name}-{bare}", spec=wanted, opts=opts)
            if schema == "public":
                self.names.append(function.name)
            return function
        if isinstance(wanted, CronJobSpec):
            job = CronJob(f"{name}-{wanted.name}", spec=wanted, opts=opts)
            self.jobids[wanted.name] = job.jobid
            return job
        if isinstance(wanted, TriggerSpec):
            return Trigger(f"{name}-{wanted.name}", spec=wanted, opts=opts)
        raise TypeError(f"{type(wanted).__name__} has no resource in a group")
