"""How fast a sign-up is synced: the one promise that every answer is measured by."""

from __future__ import annotations

TARGET_SECONDS = 75
"""End to end, by the guide's timeline: the next minute's tick, and the work."""
LIMIT_SECONDS = 120
"""After which an item is late: the guide's one to two minutes."""
TARGET = f"the target is {TARGET_SECONDS} s, the limit {LIMIT_SECONDS} s"
