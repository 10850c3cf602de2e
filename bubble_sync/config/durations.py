"""Parse durations, for all options."""

from __future__ import annotations

import re
from datetime import timedelta

FORMS = "90s, 30m, 2h, 7d or 1d12h"
_DURATION = re.compile(r"(?=\d)(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?:in)?)?(?:(\d{1,6})s)?")


def read_duration(text: str) -> timedelta | None:
    """Return the duration of numbers with units, largest first (1d12h); None unless above zero."""
    parts = _DURATION.fullmatch(text)
    if parts is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) or None
