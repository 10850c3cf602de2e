"""Replace files, and make folders, in one step: a reader, also after a kill, finds the old or the new, never a part."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def replace_file(file: Path, content: bytes, *, mode: int | None = None) -> None:
    """Replace a file, through symbolic links; raise OSError, with the old file in place.

    Args:
        file: The file; a missing one is made.
        content: The new content.
        mode: The permissions; None keeps those of the old file, and its owner.
    """
    target = Path(os.path.realpath(file))
    draft = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as new:
            new.write(content)
            _set_permissions(descriptor, target, mode)
        draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give the path of a folder to make, which then takes the name of `folder`; a kill leaves no half-filled one."""
    half = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(half, ignore_errors=True)
    yield half
    half.rename(folder)


def _set_permissions(descriptor: int, target: Path, mode: int | None) -> None:
    if mode is not None:
        # The process's mask does not apply to what the caller asked for.
        os.fchmod(descriptor, mode)
    elif target.exists():
        old = target.stat()
        with suppress(PermissionError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, old.st_mode & 0o7777)
