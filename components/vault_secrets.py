"""The arguments of the Vault secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from bubble_sync.config.settings import StackSettings
from bubble_sync.model.secrets import KEY, MANAGED_SECRETS, URL, WEBHOOK


@dataclass(frozen=True, kw_only=True)
class VaultSecretsArgs:
    """Names and values of the secrets."""

    supabase_url: pulumi.Input[str]
    service_role_key: pulumi.Input[str]
    supabase_url_name: str = "supabase_url"
    service_role_key_name: str = "service_role_key"
    others: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """The values of further secrets by role."""

    @classmethod
    def of(cls, settings: StackSettings) -> VaultSecretsArgs:
        """Return the arguments from a stack's settings."""
        values = {one.role: one.value_in(settings) for one in MANAGED_SECRETS if one not in (URL, KEY, WEBHOOK)}
        return cls(
            supabase_url=settings.url,
            service_role_key=settings.service_role_key,
            supabase_url_name=settings.supabase_url_name,
            service_role_key_name=settings.service_role_key_name,
            others={role: value for role, value in values.items() if value is not None},
        )

    @property
    def values(self) -> dict[str, pulumi.Input[str]]:
        """Return the value of each secret by role."""
        return {URL.role: self.supabase_url, KEY.role: self.service_role_key, **self.others}
