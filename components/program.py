"""What the program reads from Pulumi: the stack's configuration, with the knowledge of what was encrypted."""

from __future__ import annotations

import importlib.util
import json
import os
from datetime import UTC, datetime

import pulumi
from pulumi.runtime import config as runtime_config

from bubble_sync.config.commands import completed
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.keys import read_key, warnings_about
from bubble_sync.config.session_address import session_address
from bubble_sync.config.settings import ConfigValue, StackSettings, read_settings
from bubble_sync.errors import ConfigurationError
from bubble_sync.model import pauses


def configured() -> tuple[StackSettings, str | None]:
    """Return the settings and the one project they name; raise ConfigurationError with every problem."""
    prefix = f"{NAMESPACE}:"
    values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    config = {
        key.removeprefix(prefix): ConfigValue(_text(value), runtime_config.is_config_secret(key))
        for key, value in values.items()
        if key.startswith(prefix)
    }
    settings = read_settings(config)
    return settings, settings.project(os.environ)


def read_stack() -> tuple[StackSettings, str | None]:
    """Return the settings and the one project they name; raise pulumi.RunError with every problem."""
    try:
        settings, project = configured()
        if settings.access.monitor_role:
            _require_pulumi_postgresql()
            # What pulumi-postgresql is told: it is read again, and any trouble with it is said here.
            session_address(settings.address(os.environ))
    except ConfigurationError as error:
        raise pulumi.RunError(_completed(str(error))) from None
    _warn_of_unverified_server(settings)
    now = datetime.now(UTC)
    for warning in (*warnings_about(read_key(settings.service_role_key), now), *pauses.warnings_about(settings, now)):
        pulumi.warn(_completed(warning))
    return settings, project


def _completed(text: str) -> str:
    """Have commands name this stack: what a person copies must not mean the one that happens to be selected."""
    return completed(text, ("--stack", pulumi.get_stack()))


def _require_pulumi_postgresql() -> None:
    if importlib.util.find_spec("pulumi_postgresql") is None:
        raise ConfigurationError(
            f"{NAMESPACE}:access.monitorRole needs the package pulumi-postgresql: run `make setup`, which installs it "
            "for a stack file with access, or install bubble-sync[access]"
        )


def _warn_of_unverified_server(settings: StackSettings) -> None:
    if not (settings.database_url or os.environ.get(settings.database_url_env or "")):
        return
    address = settings.address(os.environ)
    if address.sslmode in ("require", "verify-ca") and not address.loopback:
        pulumi.warn(
            f"the database URL asks for sslmode={address.sslmode}: whoever answers as {address.host} is believed. "
            f"Take it out, and set {NAMESPACE}:databaseCa to the server's CA certificate."
        )


def key_facts(settings: StackSettings) -> dict[str, str]:
    """Say what the key tells of itself: its kind and, for a legacy JWT, its expiry. No part of the key."""
    shape = read_key(settings.service_role_key)
    facts = {"kind": shape.kind, "header": shape.header}
    if shape.expires_at is not None:
        facts["expires"] = shape.expires_at.astimezone(UTC).date().isoformat()
    return facts


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
