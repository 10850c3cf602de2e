"""Write files that others may be reading."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bubble_sync.errors import ConfigurationError


def write_atomically(file: Path, text: str, *, mode: int | None = None) -> None:
    """Write a file atomically, through symbolic links."""
    target = Path(os.path.realpath(file))
    temporary = target.parent / f".{target.name}.{os.getpid()}"
    try:
        if target.exists() and not target.is_file():
            # Refuse to replace a device such as /dev/null.
            raise ConfigurationError(f"{file} is not a file: choose another place")
        with temporary.open("x", encoding="utf-8") as new:
            new.write(text)
            if mode is not None:
                os.fchmod(new.fileno(), mode)
        temporary.replace(target)
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be written ({problem.strerror}): choose another place") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
