"""Where this person's cache of downloaded and built programs is."""

from __future__ import annotations

import os
import platform
from pathlib import Path

FOLDER = "bubble-sync"


def cache_root() -> Path:
    """Return the project's folder in this person's cache."""
    # The XDG specification: a relative path is invalid and counts as unset.
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / FOLDER


def private_postgresql(major: int | str) -> Path:
    """Return the folder of the PostgreSQL that `make setup` unpacks where the machine has no suitable one.

    Args:
        major: The major version; `"*"` gives the pattern of every such folder.
    """
    return cache_root() / f"postgresql-{major}-{platform.machine()}"
