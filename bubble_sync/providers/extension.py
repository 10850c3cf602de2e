"""Manage an extension as a resource: install, never move or drop."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import ExtensionSpec


class ExtensionProvider(ConvergingProvider):
    """The provider of extensions."""

    spec_type = ExtensionSpec


class Extension(Resource, module="bubble_sync", name="Extension"):
    """An installed extension."""

    version: pulumi.Output[str]
    schema: pulumi.Output[str]

    def __init__(self, resource_name: str, *, spec: ExtensionSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare that an extension is installed."""
        props = {**spec.model_dump(include={"name", "stack", "project_ref"}), "version": None, "schema": None}
        super().__init__(ExtensionProvider(), resource_name, props, opts)
