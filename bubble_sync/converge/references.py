"""Find references to an object, which keep the object on destroy and are reported before a change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, read_snapshot

REFERENCE_SECTIONS = ("users", "using_jobs")


def pattern_of(word: str) -> str:
    """Return a pattern for `word` as a whole word, in any case."""
    return rf"(?i)(^|\W){re.escape(word)}(\W|$)"


def references_to(conn: Connection, word: str, itself: str = "") -> Sequence[str]:
    """List functions, views, triggers and jobs, except `itself`, that contain `word`."""
    return references_in(read_snapshot(conn, REFERENCE_SECTIONS, pattern=pattern_of(word), itself=itself))


def references_in(snapshot: Snapshot) -> Sequence[str]:
    """List the references in a snapshot that was read with a pattern."""
    return [row["name"] for part in REFERENCE_SECTIONS for row in snapshot.rows(part)]
