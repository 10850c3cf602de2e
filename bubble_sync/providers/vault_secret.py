"""Manage a Vault secret as a resource; the resource name must contain the secret's name."""

from __future__ import annotations

from dataclasses import asdict

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import Owner, VaultSecretSpec


class VaultSecretProvider(ConvergingProvider):
    """The provider of secrets."""

    spec_type = VaultSecretSpec


class VaultSecret(Resource, module="bubble_sync", name="VaultSecret"):
    """A Vault secret."""

    secret_id: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        value: pulumi.Input[str],
        description: pulumi.Input[str],
        owner: Owner,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a secret, and mark its value as secret for Pulumi."""
        props = {
            "name": name,
            "value": pulumi.Output.secret(value),
            "description": description,
            **asdict(owner),
            "secret_id": None,
        }
        super().__init__(VaultSecretProvider(), resource_name, props, opts)
