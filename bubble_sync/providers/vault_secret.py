"""Manage a Vault secret as a resource; the resource name must contain the secret's name."""

from __future__ import annotations

from dataclasses import asdict

import pulumi
from pulumi.dynamic import Resource

from bubble_sync.model.secrets import SecretObject
from bubble_sync.providers.converging import ConvergingProvider
from bubble_sync.specs import VaultSecretSpec


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
        declared: SecretObject,
        value: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a secret, and mark its value as secret for Pulumi."""
        props = {
            "name": declared.name,
            "value": pulumi.Output.secret(value),
            "description": declared.description,
            **asdict(declared.owner),
            "secret_id": None,
        }
        super().__init__(VaultSecretProvider(), resource_name, props, opts)
