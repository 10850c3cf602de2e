"""One entry of the cache, made by one set-up at a time and never half."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.pulumi_pins import say


@contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """Hold the lock of an entry, and give an empty folder next to it that is removed in the end.

    The caller renames what it has made there to its final place. The lock ends with the process.
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
