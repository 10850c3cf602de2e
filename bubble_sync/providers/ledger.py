"""The ledger as a resource: the private schema and the table in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import Keeper, LedgerSpec


class LedgerProvider(ConvergingProvider):
    """Converges the ledger."""

    spec_type = LedgerSpec

    def kind(self) -> ModuleType:
        """Import `converge.ledger`."""
        from bubble_sync.converge import ledger

        return ledger


class Ledger(Resource, module="bubble_sync", name="Ledger"):
    """What this stack made or adopted, kept in the database."""

    def __init__(
        self,
        resource_name: str,
        *,
        keeper: Keeper,
        grantees: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the ledger of one stack, and the roles that may use its schema."""
        props: dict[str, Any] = {**asdict(keeper), "grantees": list(grantees)}
        super().__init__(LedgerProvider(), resource_name, props, opts)
