"""Who names an object: what something else names is kept on destroy, and told of before it changes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found, read

PARTS = ("users", "using_jobs")


def pattern_of(word: str) -> str:
    """Return the pattern that finds `word` in any case, standing alone."""
    return rf"(?i)(^|\W){re.escape(word)}(\W|$)"


def users_of(conn: Connection, word: str, itself: str = "") -> Sequence[str]:
    """List functions, views, triggers and jobs whose text names `word` in any case, other than `itself`."""
    return users_in(read(conn, PARTS, pattern=pattern_of(word), itself=itself))


def users_in(found: Found) -> Sequence[str]:
    """List what a reading with a pattern has found."""
    return [row["name"] for part in PARTS for row in found.rows(part)]
