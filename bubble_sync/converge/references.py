"""Find references to an object, which keep the object on destroy and are reported before a change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found, read

PARTS = ("users", "using_jobs")


def pattern_of(word: str) -> str:
    """Return a pattern for `word` as a whole word, in any case."""
    return rf"(?i)(^|\W){re.escape(word)}(\W|$)"


def users_of(conn: Connection, word: str, itself: str = "") -> Sequence[str]:
    """List functions, views, triggers and jobs, except `itself`, that contain `word`."""
    return users_in(read(conn, PARTS, pattern=pattern_of(word), itself=itself))


def users_in(found: Found) -> Sequence[str]:
    """List the references in a snapshot that was read with a pattern."""
    return [row["name"] for part in PARTS for row in found.rows(part)]
