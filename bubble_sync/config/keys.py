"""Inspect Supabase API keys offline: their claims, and the request header for each kind.

A legacy key is a JWT that carries the project's `ref`, a `role` and an expiry; a secret key (`sb_secret_...`) is
opaque.
See design 3 (Request) and Supabase's page "Migrating to publishable and secret API keys".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from bubble_sync.formatting import format_day

KeyKind = Literal["legacy JWT", "secret key", "publishable key", "opaque"]
KEY_IN_TEXT = r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]*|sb_secret_[\w-]+|(?<=Bearer )[\w.~+/-]{16,}=*"
"""A pattern for keys in free text, which Python and PostgreSQL read alike."""

LEGACY_KEYS_END = date(2026, 12, 31)
"""Supabase deprecates the JWT keys "by the end of 2026": page "Migrating to publishable and secret API keys"."""

HARMLESS_ACTION = "get_status"
"""An action without effect: the function checks the key, then answers 400."""

EXPIRES_SOON = timedelta(days=30)
_ROTATE = "Set another one with `bubble-sync key rotate` (docs/guides/keys.md)."


@dataclass(frozen=True)
class KeyShape:
    """The properties of a key; None when unknown."""

    kind: KeyKind
    role: str | None = None
    project_ref: str | None = None
    expires_at: datetime | None = None

    @property
    def header(self) -> str:
        """Return the request header in which `bubble_sync.send` puts the key."""
        return "apikey" if self.kind == "secret key" else "Authorization"


def read_key(key: str) -> KeyShape:
    """Return a key's properties offline; a JWT's signature is not checked."""
    if key.startswith("sb_secret_"):
        return KeyShape("secret key")
    if key.startswith("sb_publishable_"):
        return KeyShape("publishable key")
    claims = _claims(key)
    if claims is None:
        return KeyShape("opaque")
    return KeyShape("legacy JWT", _text(claims.get("role")), _text(claims.get("ref")), _timestamp(claims.get("exp")))


def key_warnings(shape: KeyShape, now: datetime, *, hosted: bool = True) -> tuple[str, ...]:
    """Return warnings about the expiry of the key, and about its removal in a `hosted` project."""
    warnings = []
    if shape.expires_at is not None and shape.expires_at - now <= EXPIRES_SOON:
        left = (shape.expires_at.date() - now.date()).days
        on = format_day(shape.expires_at)
        what = f"expires on {on}, {_in_days(left)}" if shape.expires_at > now else f"expired on {on}"
        warnings.append(f"the key {what}: the endpoint rejects an expired key. {_ROTATE}")
    if shape.kind == "legacy JWT" and hosted:
        left = (LEGACY_KEYS_END - now.date()).days
        ends = f"removes by the end of 2026, {_in_days(left)}" if left >= 0 else "was to remove by the end of 2026"
        warnings.append(f"the key is a legacy JWT, which Supabase {ends}. Move to a secret key. {_ROTATE}")
    return tuple(warnings)


def masked(text: str, *values: str) -> str:
    """Return the text with `values`, and anything like a key, replaced."""
    for value in values:
        text = text.replace(value, "[secret]") if value else text
    return re.sub(KEY_IN_TEXT, "[secret]", text)


def _claims(key: str) -> dict[str, Any] | None:
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = json.loads(payload)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def unissued_jwt(claims: Mapping[str, object]) -> str:
    """Return a legacy key with these claims and a random signature."""
    parts = (json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims))
    encoded = (base64.urlsafe_b64encode(part) for part in (*(part.encode() for part in parts), secrets.token_bytes(32)))
    return ".".join(part.rstrip(b"=").decode() for part in encoded)


def _in_days(days: int) -> str:
    return {0: "today", 1: "tomorrow"}.get(days, f"in {days} days")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _timestamp(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None
