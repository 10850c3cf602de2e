"""The settings of a stack as the ledger holds them: everything but the values of secrets.

Of the key, the text has the kind and the expiry, which the program exports too; no digest of a secret (ADR 0016).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from bubble_sync.config.keys import KeyKind, read_key, unissued_jwt
from bubble_sync.config.settings import StackSettings, url_of
from bubble_sync.model.secrets import ALERT_SECRETS, KEY, URL, SecretObject
from bubble_sync.model.setup_settings import SetupSettings
from bubble_sync.specs import Spec

_KEY, _SPECS = "key", "specs"
"""Entries next to the settings: facts of the key, and a digest of all specs."""
_DESTINATIONS = "destinations"
"""The entry with the alerts' destinations."""
_PLACEHOLDERS = {
    "webhook": "https://webhook.invalid/not-known",
    "heartbeat": "https://heartbeat.invalid/not-known",
    "pagerduty": "0" * 32,
    "opsgenie": "00000000-0000-0000-0000-000000000000",
}
"""A value for each destination that the configuration takes and no server accepts."""


class RecordedSettings(StackSettings):
    """Settings from the ledger, with placeholders for secrets."""

    recorded: ClassVar[bool] = True
    own_arguments: bool = False
    """Whether they are those of a program that fills its arguments itself."""


def recorded_text(setup: SetupSettings, objects: Sequence[Spec | SecretObject], values: Mapping[str, str]) -> str:
    """Return the settings as JSON, with the keys of the configuration; `values` are the secrets' by role."""
    shape = read_key(values[KEY.role])
    held: dict[str, object] = {
        "allowHttp": setup.allow_http,
        "names": _changed(setup.names),
        "supabaseUrlName": setup.secrets[URL.role],
        "serviceRoleKeyName": setup.secrets[KEY.role],
        **{key: _changed(settings) for key, settings in setup.jobs.items()},
        "dispatchLog": setup.dispatch_log,
        "history": _changed(setup.history),
        _KEY: {"kind": shape.kind, **({"expires": shape.expires_at.timestamp()} if shape.expires_at else {})},
        _SPECS: _digest(objects),
    }
    if setup.owner.project_ref:
        held["projectRef"] = setup.owner.project_ref
    if values[URL.role] != url_of(setup.owner.project_ref):
        held["supabaseUrl"] = values[URL.role]
    if setup.alerts is not None:
        held["alerts"] = _changed(setup.alerts)
        held[_DESTINATIONS] = [one.role for one in ALERT_SECRETS if one.role in setup.secrets]
    if setup.monitor_role:
        held["access"] = {"monitorRole": setup.monitor_role}
    return json.dumps(held, sort_keys=True)


def settings_from(
    text: str, database_url_env: str, *, own_arguments: bool = False
) -> tuple[RecordedSettings, str] | None:
    """Return recorded settings and the digest of their specs; None for a text that this version cannot read."""
    try:
        held: dict[str, Any] = json.loads(text)
        key, specs = held.pop(_KEY), str(held.pop(_SPECS))
        secrets = {"serviceRoleKey": _placeholder(key["kind"], key.get("expires"))}
        destinations = held.pop(_DESTINATIONS, [])
        secrets |= {one.setting: _PLACEHOLDERS[one.role] for one in ALERT_SECRETS if one.role in destinations}
        given = {"databaseUrlEnv": database_url_env, "ownArguments": own_arguments}
        settings = RecordedSettings.model_validate({**held, **secrets, **given})
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError, ValidationError):
        return None
    return settings, specs


def default_settings(names: Mapping[str, str], database_url_env: str) -> RecordedSettings:
    """Return the defaults, for a ledger without settings."""
    return RecordedSettings.model_validate(
        {
            "supabaseUrl": "https://not-known.invalid",
            "serviceRoleKey": _placeholder("opaque", None),
            "names": names,
            "databaseUrlEnv": database_url_env,
        }
    )


def specs_digest(text: str) -> str:
    """Return the digest of all specs in recorded settings."""
    return str(json.loads(text)[_SPECS])


def differing(actual: str, wanted: str) -> tuple[str, str]:
    """Return the entries of two recorded settings that differ, in words."""
    both = [_flat(text) for text in (actual, wanted)]
    names = sorted(name for name in {*both[0], *both[1]} if both[0].get(name) != both[1].get(name))
    if not both[0] or not names:
        return actual and "not as written", "the settings"
    if names == [_SPECS]:
        return "the objects of another version", "the objects of this version"
    # The digest follows from the rest.
    names = [name for name in names if name != _SPECS]
    first, second = (", ".join(f"{name} {one[name]}" for name in names if name in one) for one in both)
    return first, second


def _flat(text: str) -> dict[str, str]:
    try:
        return dict(_entries(json.loads(text), ""))
    except (ValueError, RecursionError):
        return {}


def _entries(value: object, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for key, one in value.items() for pair in _entries(one, f"{name}.{key}" if name else str(key))]
    return [(name, value if isinstance(value, str) else json.dumps(value))]


def _changed(settings: BaseModel) -> dict[str, Any]:
    """Return what differs from the defaults, as in a configuration."""
    return settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _placeholder(kind: KeyKind, expires: float | None) -> str:
    """Return a key of this kind and expiry that no server accepts."""
    if kind == "legacy JWT":
        return unissued_jwt({"role": "service_role", **({"exp": expires} if expires else {})})
    return "sb_secret_not_known" if kind == "secret key" else "not_known"


def _digest(objects: Sequence[Spec | SecretObject]) -> str:
    """Return a digest of all specs but their owner: a version that declares the same objects has the same one."""
    declared = [
        [one.object_name, one.model_dump(mode="json", exclude={"stack", "project_ref"})]
        if isinstance(one, Spec)
        else [one.role, one.name, one.description]
        for one in objects
    ]
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:32]
