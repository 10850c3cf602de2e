"""Guard against a wrong environment: all settings must name the same project.

Settings without a ref (a custom domain, an opaque key, a loopback address) match any project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from bubble_sync.errors import WrongEnvironment

_REF = re.compile(r"[a-z0-9]{8,40}")
_DOMAINS = (".supabase.co", ".supabase.in", ".supabase.red")


def is_project_ref(text: str) -> bool:
    """Return whether `text` has the format of a project ref."""
    return _REF.fullmatch(text) is not None


def ref_of_url(url: str) -> str | None:
    """Return the project of `https://<ref>.supabase.co`, or None."""
    return _ref_before_domain(urlsplit(url).hostname or "")


def ref_of_database(host: str | None, user: str | None) -> str | None:
    """Return the project of a direct host (`db.<ref>.supabase.co`) or a pooler's user (`postgres.<ref>`), or None."""
    for one in (host or "").lower().split(","):
        if one.startswith("db.") and (ref := _ref_before_domain(one[3:])):
            return ref
    if ".pooler.supabase." in f"{host or ''}." and "." in (user or ""):
        ref = (user or "").rsplit(".", 1)[1]
        return ref if is_project_ref(ref) else None
    return None


def require_one_project(named_by: Mapping[str, str | None]) -> str | None:
    """Return the project of all parts, or None if none names one; raise WrongEnvironment on a conflict."""
    known = [(part, ref) for part, ref in named_by.items() if ref]
    for part, ref in known[1:]:
        first_part, first_ref = known[0]
        if ref != first_ref:
            raise WrongEnvironment(
                f"{first_part} names project {first_ref!r}, but {part} names {ref!r}: "
                "nothing was changed. Correct the setting of the other environment."
            )
    return known[0][1] if known else None


def _ref_before_domain(host: str) -> str | None:
    names = (host.removesuffix(domain) for domain in _DOMAINS if host.endswith(domain))
    return next(filter(is_project_ref, names), None)
