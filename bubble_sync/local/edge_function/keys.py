"""Authorise callers of the Edge Function: the gateway checks the Bearer, the function checks either header."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Literal

from bubble_sync.config.keys import read_key
from bubble_sync.local.edge_function.behaviour import Behaviour

#: The bodies of a 401, which differ between function and gateway.
NO_VALID_KEY = {"success": False, "error": "no valid key"}
NO_BEARER = {"code": 401, "message": "Missing authorization header"}
INVALID_JWT = {"code": 401, "message": "Invalid JWT"}
LEGACY_JWT = {"code": "UNAUTHORIZED_LEGACY_JWT", "message": "Invalid JWT"}


@dataclass(frozen=True)
class Authorisation:
    """The header and the verdict of a request's key, and the body of a refusal."""

    key_kind: Literal["bearer", "apikey", "none"]
    key: Literal["accepted", "rejected", "unchecked"]
    refusal: Mapping[str, object] | None


def authorise(headers: Message, own: Sequence[str], behaviour: Behaviour) -> Authorisation:
    """Return whether a request may call; `own` are the platform's own keys."""
    authorization, offered = headers.get("Authorization", ""), headers.get("apikey", "")
    known = (*own, *behaviour.keys) if behaviour.own_keys else behaviour.keys
    legacy = read_key(authorization.removeprefix("Bearer ")).kind == "legacy JWT"
    disabled = behaviour.legacy_disabled and legacy
    bearer = not disabled and _is_one_of(authorization, (f"Bearer {key}" for key in known if not _secret(key)))
    apikey = _is_one_of(offered, filter(_secret, known))
    refusal = None
    if behaviour.verify_jwt and not bearer:
        refusal = LEGACY_JWT if disabled else INVALID_JWT if authorization else NO_BEARER
    elif behaviour.checks_key and not (bearer or apikey):
        refusal = NO_VALID_KEY
    checked = behaviour.verify_jwt or behaviour.checks_key
    return Authorisation(
        # The header that decided, or the first one present.
        key_kind="bearer" if authorization and (bearer or not apikey) else "apikey" if offered else "none",
        key="rejected" if refusal else "accepted" if checked else "unchecked",
        refusal=refusal,
    )


def _secret(key: str) -> bool:
    return read_key(key).header == "apikey"


def _is_one_of(offered: str, known: Iterable[str]) -> bool:
    # Summed, not `any`: constant time hides which key matched.
    return sum(hmac.compare_digest(offered.encode(), key.encode()) for key in known) > 0
