"""Authorise callers of the Edge Function: the gateway checks the Bearer, the function checks either header."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bubble_sync.config.keys import read_key
from bubble_sync.local.edge_function.behaviour import Behaviour

#: What each answers with 401: the body distinguishes function and gateway.
NO_VALID_KEY = {"success": False, "error": "no valid key"}
NO_BEARER = {"code": 401, "message": "Missing authorization header"}
INVALID_JWT = {"code": 401, "message": "Invalid JWT"}
LEGACY_JWT = {"code": "UNAUTHORIZED_LEGACY_JWT", "message": "Invalid JWT"}


@dataclass(frozen=True)
class Authorisation:
    """How a request's key came, what was found of it, and the body of the 401 where it is refused."""

    key_kind: Literal["bearer", "apikey", "none"]
    key: Literal["accepted", "rejected", "unchecked"]
    refusal: Mapping[str, object] | None


@dataclass(frozen=True)
class Offer:
    """The two headers of a request that a key comes in; an absent one is empty."""

    authorization: str
    apikey: str

    @property
    def legacy(self) -> bool:
        """Return whether the Bearer has the shape of a legacy JWT."""
        return read_key(self.authorization.removeprefix("Bearer ")).kind == "legacy JWT"


def authorise(offer: Offer, own: Sequence[str], behaviour: Behaviour) -> Authorisation:
    """Return whether a request may call; `own` are the platform's own keys."""
    known = (*own, *behaviour.keys) if behaviour.own_keys else behaviour.keys
    disabled = behaviour.legacy_disabled and offer.legacy
    bearer = not disabled and _is_one_of(offer.authorization, (f"Bearer {key}" for key in known if not _secret(key)))
    apikey = _is_one_of(offer.apikey, filter(_secret, known))
    refusal = None
    if behaviour.verify_jwt and not bearer:
        refusal = LEGACY_JWT if disabled else INVALID_JWT if offer.authorization else NO_BEARER
    elif behaviour.checks_key and not (bearer or apikey):
        refusal = NO_VALID_KEY
    checked = behaviour.verify_jwt or behaviour.checks_key
    return Authorisation(
        key_kind=_kind(offer, apikey and not bearer),
        key="rejected" if refusal else "accepted" if checked else "unchecked",
        refusal=refusal,
    )


def _kind(offer: Offer, only_apikey: bool) -> Literal["bearer", "apikey", "none"]:
    """Return the header that decided, or the first one present."""
    if offer.authorization and not only_apikey:
        return "bearer"
    return "apikey" if offer.apikey else "none"


def _secret(key: str) -> bool:
    return read_key(key).header == "apikey"


def _is_one_of(offered: str, known: Iterable[str]) -> bool:
    # Summed, not `any`: constant time hides which key matched.
    return sum(hmac.compare_digest(offered.encode(), key.encode()) for key in known) > 0
