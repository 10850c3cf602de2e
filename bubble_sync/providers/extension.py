"""Manage an extension as a resource: install, never move or drop."""

from __future__ import annotations

from dataclasses import asdict

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import ExtensionSpec, Owner


class ExtensionProvider(ConvergingProvider):
    """The provider of extensions."""

    spec_type = ExtensionSpec


class Extension(Resource, module="bubble_sync", name="Extension"):
    """An installed extension."""

    version: pulumi.Output[str]
    schema: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        owner: Owner,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare that an extension is installed."""
        props = {"name": name, **asdict(owner), "version": None, "schema": None}
        super().__init__(ExtensionProvider(), resource_name, props, opts)
