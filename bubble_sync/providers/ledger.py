"""Manage the private schema and the ledger in it as a resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource

from bubble_sync.providers.converging import ConvergingProvider, Props, show
from bubble_sync.specs import LedgerSpec, Owner


class LedgerProvider(ConvergingProvider):
    """The provider of the ledger."""

    spec_type = LedgerSpec

    def create(self, props: Props) -> CreateResult:
        """Create the ledger, the first object, and explain Pulumi's "+ create" for adopted objects."""
        made = super().create(props)
        show(f"+ create adopts what exists; see `bubble-sync diff --stack {props['stack']}`")
        return made


class Ledger(Resource, module="bubble_sync", name="Ledger"):
    """The list of objects that this stack made or adopted, in the database."""

    def __init__(
        self,
        resource_name: str,
        *,
        owner: Owner,
        tables: Sequence[str] = (),
        grantees: Sequence[str] = (),
        own_arguments: pulumi.Input[bool] = False,
        settings: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the ledger, the optional tables, the roles with USAGE on the schema, and the recorded settings."""
        props: dict[str, Any] = {**asdict(owner), "tables": list(tables), "grantees": list(grantees)}
        props["settings"] = settings
        if own_arguments is not False:
            props["own_arguments"] = own_arguments
        super().__init__(LedgerProvider(), resource_name, props, opts)
