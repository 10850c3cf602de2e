"""Entries of the cache: one set-up at a time makes one, in one step; links lead to it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.pulumi_pins import say


@contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """Hold the lock of an entry, and yield an empty folder next to the entry; remove the folder afterwards.

    The caller renames its work there to the final place. The lock ends with the process.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another set-up is making {name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / f"{name}.partial"
        # A killed set-up may have left it.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def link(place: Path, target: Path) -> None:
    """Make `place` a link to a target, in one step: a program may start through the link right now."""
    if not (place.is_symlink() and place.readlink() == target):
        fresh = place.with_name(f".{place.name}.{os.getpid()}")
        fresh.symlink_to(target)
        fresh.replace(place)
