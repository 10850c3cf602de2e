"""Provide actionlint, from PATH or else built with Go from the module beside this file, and run it.

Run as `python -m tools.actionlint [ARGUMENT...]`, by `make lint`: only who changes workflows needs it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bubble_sync.local.postgres.cache import cache_root
from tools.go_modules import run_go
from tools.pulumi_pins import HERE, ToolchainError, parse_version, say

PINNED = "1.7.12"
MODULE = HERE / "actionlint"
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
HOW_TO_INSTALL = (
    f"install actionlint >= {PINNED} (https://github.com/rhysd/actionlint) "
    "or Go >= 1.26 (https://go.dev/doc/install), then run this again"
)


def provide(search_path: str, root: Path) -> Path:
    """Return an actionlint that will do; make one where PATH and the cache have none."""
    found = shutil.which("actionlint", path=search_path)
    if found is not None and is_new_enough(found):
        return Path(found)
    folder = root / cache_name()
    if not folder.exists():
        _make(folder, shutil.which("go", path=search_path))
    return folder / "actionlint"


def is_new_enough(executable: str) -> bool:
    """Ask an executable for its version."""
    answer = subprocess.run([executable, "-version"], capture_output=True, text=True, check=False)
    return (parse_version(answer.stdout) or (0, 0, 0)) >= (parse_version(PINNED) or ())


def cache_name() -> str:
    """Name the folder of a made one: other pins or another machine give another name."""
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()}".encode())
    for source in sorted(MODULE.iterdir()):
        digest.update(source.read_bytes())
    return f"actionlint-v{PINNED}-{digest.hexdigest()[:12]}"


def _make(folder: Path, go: str | None) -> None:
    """Build in a folder of our own, and give it its name when it is whole; another checkout may be quicker."""
    if go is None:
        raise ToolchainError(HOW_TO_INSTALL)
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"building actionlint v{PINNED} with Go")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        partial = Path(scratch) / "whole"
        partial.mkdir()
        flags = ("-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", str(partial / "actionlint"))
        run_go(go, MODULE, partial, "build", *flags, PACKAGE, otherwise=HOW_TO_INSTALL)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def main(arguments: list[str]) -> int:
    """Run actionlint with these arguments, and return its exit code."""
    try:
        executable = provide(os.environ.get("PATH", ""), cache_root())
    except ToolchainError as error:
        say(str(error))
        return 1
    return subprocess.run([executable, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
