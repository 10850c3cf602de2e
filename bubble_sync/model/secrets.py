"""The Vault secrets, in order: another secret is its setting and one entry here."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.config.validators import ALERT_SECRET_NAMES
from bubble_sync.specs import NOT_KNOWN, Owner, VaultSecretSpec


@dataclass(frozen=True)
class SecretObject:
    """A secret of a stack without its value, which a program may not know before `up`."""

    role: str
    name: str
    description: str
    owner: Owner

    def spec(self, value: str) -> VaultSecretSpec:
        """Return the secret's spec."""
        return VaultSecretSpec(name=self.name, value=value, description=self.description, **asdict(self.owner))


@dataclass(frozen=True)
class ManagedSecret:
    """A secret with its role and its setting."""

    role: str
    """The secret's role; a function's constant `<role>_secret` contains the secret's name."""
    setting: str
    """The setting that contains the value; no setting, no secret."""
    description: str
    fixed_name: str = ""
    """The name in Vault, unless the setting `<setting>_name` contains it."""

    def name_in(self, settings: object, names: NameSettings) -> str:
        """Return the name in Vault for a stack's settings, or for a program's arguments."""
        return names.render(self.fixed_name) or str(getattr(settings, f"{self.setting}_name"))

    def value_in(self, settings: StackSettings) -> str | None:
        """Return the configured value."""
        value: str | None = settings.url if self is URL else getattr(settings, self.setting)
        return NOT_KNOWN if value is not None and self is not URL and settings.recorded else value


# Users know these descriptions from the guide.
URL = ManagedSecret("url", "supabase_url", "Supabase project URL for pg_net calls")
KEY = ManagedSecret("key", "service_role_key", "Service role key for Edge Function authentication")
ALERT_SECRETS = tuple(
    ManagedSecret(role, setting, description, ALERT_SECRET_NAMES[role])
    for role, setting, description in (
        ("webhook", "alert_webhook_url", "Webhook that bubble-sync posts alerts to"),
        ("heartbeat", "alert_heartbeat_url", "URL that bubble-sync calls while no alert is open"),
        ("pagerduty", "alert_pager_duty_routing_key", "PagerDuty routing key for the alerts of bubble-sync"),
        ("opsgenie", "alert_opsgenie_api_key", "Opsgenie API key for the alerts of bubble-sync"),
    )
)
"""The destinations of the alerts; the role is the destination's name in `bubble_sync.post_alert`."""
MANAGED_SECRETS = (URL, KEY, *ALERT_SECRETS)


def configuration_keys(settings: StackSettings) -> dict[str, str]:
    """Return the configuration key of each secret's value, by the name in Vault."""
    names = settings.names
    keys = {
        one.name_in(settings, names): StackSettings.model_fields[one.setting].alias or "" for one in MANAGED_SECRETS
    }
    return keys if settings.supabase_url else {**keys, URL.name_in(settings, names): "projectRef"}
