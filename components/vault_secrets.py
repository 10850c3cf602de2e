"""Declare the two secrets of the functions."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from bubble_sync.model.setup import KEY_DESCRIPTION, URL_DESCRIPTION
from bubble_sync.providers.vault_secret import VaultSecret
from bubble_sync.specs import Keeper


@dataclass(frozen=True, kw_only=True)
class VaultSecretsArgs:
    """The names and values of the secrets."""

    supabase_url: pulumi.Input[str]
    service_role_key: pulumi.Input[str]
    supabase_url_name: str = "supabase_url"
    service_role_key_name: str = "service_role_key"


class VaultSecrets(pulumi.ComponentResource):
    """The project URL and the key in Vault."""

    def __init__(
        self, name: str, args: VaultSecretsArgs, *, keeper: Keeper, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare both secrets."""
        super().__init__("bubble-sync:index:VaultSecrets", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        VaultSecret(
            f"{name}-{args.supabase_url_name}",
            name=args.supabase_url_name,
            value=args.supabase_url,
            description=URL_DESCRIPTION,
            keeper=keeper,
            opts=child,
        )
        VaultSecret(
            f"{name}-{args.service_role_key_name}",
            name=args.service_role_key_name,
            value=args.service_role_key,
            description=KEY_DESCRIPTION,
            keeper=keeper,
            opts=child,
        )
        self.register_outputs({})
