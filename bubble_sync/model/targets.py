"""Define the target for the time from sign-up to sync."""

from __future__ import annotations

TARGET_SECONDS = 75
"""End to end, by the guide's timeline: the next tick and the work."""
WAKE_TARGET_SECONDS = 2
"""End to end with `processor.wake`: the request of the insert, and the work."""
LIMIT_SECONDS = 120
"""The age of a late item: the guide's one to two minutes."""
TARGET = f"the target is {TARGET_SECONDS} s, the limit {LIMIT_SECONDS} s"
