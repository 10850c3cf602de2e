"""The SQL of the embedded platform, one file a statement or a script."""

from __future__ import annotations

from importlib.resources import files


def script(name: str) -> bytes:
    """Return the SQL file of that name."""
    return (files("bubble_sync.local") / "sql" / f"{name}.sql").read_bytes()
