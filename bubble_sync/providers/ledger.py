"""The ledger as a resource: the private schema and the table in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource

from bubble_sync.providers.converging import ConvergingProvider, Props
from bubble_sync.specs import Keeper, LedgerSpec


class LedgerProvider(ConvergingProvider):
    """Converges the ledger."""

    spec_type = LedgerSpec

    def kind(self) -> ModuleType:
        """Import `converge.ledger`."""
        from bubble_sync.converge import ledger

        return ledger

    def create(self, props: Props) -> CreateResult:
        """Make the ledger, the first of all objects, and say what Pulumi's "+ create" means for the others."""
        made = super().create(props)
        # The engine shows a dynamic provider's standard output to the user.
        sys.stdout.write(f"+ create adopts what exists; see `bubble-sync diff --stack {props['stack']}`\n")
        sys.stdout.flush()
        return made


class Ledger(Resource, module="bubble_sync", name="Ledger"):
    """What this stack made or adopted, kept in the database."""

    def __init__(
        self,
        resource_name: str,
        *,
        keeper: Keeper,
        tables: Sequence[str] = (),
        grantees: Sequence[str] = (),
        own_arguments: pulumi.Input[bool] = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the ledger of one stack, the tables beside it, and the roles that may use its schema."""
        props: dict[str, Any] = {**asdict(keeper), "tables": list(tables), "grantees": list(grantees)}
        if own_arguments is not False:
            props["own_arguments"] = own_arguments
        super().__init__(LedgerProvider(), resource_name, props, opts)
