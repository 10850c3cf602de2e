"""Read the stack's configuration from Pulumi, and note which values were encrypted."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pulumi
from pulumi.runtime import config as runtime_config

from bubble_sync.config.commands import complete_commands
from bubble_sync.config.database_url import NAMESPACE, session_address
from bubble_sync.config.keys import key_warnings, read_key
from bubble_sync.config.settings import ConfigValue, StackSettings, read_settings
from bubble_sync.errors import ConfigurationError
from bubble_sync.formatting import format_day
from bubble_sync.model import pauses


def configured() -> tuple[StackSettings, str | None]:
    """Return the settings and their project; raise ConfigurationError with all problems."""
    prefix = f"{NAMESPACE}:"
    values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    config = {
        key.removeprefix(prefix): ConfigValue(
            value if isinstance(value, str) else json.dumps(value), runtime_config.is_config_secret(key)
        )
        for key, value in values.items()
        if key.startswith(prefix)
    }
    settings = read_settings(config)
    return settings, settings.project(os.environ)


def read_stack() -> tuple[StackSettings, str | None]:
    """Return the settings and their project; raise pulumi.RunError with all problems."""
    try:
        settings, project = configured()
        if settings.access.monitor_role:
            # Report problems with pulumi-postgresql's connection here, before the plugin runs.
            session_address(settings.address(os.environ))
    except ConfigurationError as error:
        raise pulumi.RunError(_completed(str(error))) from None
    _warn_of_unverified_server(settings)
    now = datetime.now(UTC)
    key = read_key(settings.service_role_key)
    for warning in (
        *key_warnings(key, now, hosted=not settings.has_private_host),
        *pauses.pause_warnings(settings, now),
    ):
        pulumi.warn(_completed(warning))
    return settings, project


def _completed(text: str) -> str:
    """Complete commands with this stack's name, since another stack may be selected."""
    return complete_commands(text, ("--stack", pulumi.get_stack()))


def _warn_of_unverified_server(settings: StackSettings) -> None:
    if not (settings.database_url or os.environ.get(settings.database_url_env or "")):
        return
    address = settings.address(os.environ)
    if address.sslmode in ("require", "verify-ca") and not address.loopback:
        pulumi.warn(
            f"the database URL asks for sslmode={address.sslmode}: the identity of {address.host} is not verified. "
            f"Remove sslmode, and set {NAMESPACE}:databaseCa to the server's CA certificate."
        )


def key_facts(settings: StackSettings) -> dict[str, str]:
    """Return the key's kind, header and, for a legacy JWT, expiry, without any part of the key."""
    shape = read_key(settings.service_role_key)
    facts = {"kind": shape.kind, "header": shape.header}
    if shape.expires_at is not None:
        facts["expires"] = format_day(shape.expires_at)
    return facts
