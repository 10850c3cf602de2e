"""Provide a Pulumi CLI: from PATH, else the cache, else the vendor's release, else built with Go.

Run as `python -m tools.pulumi_cli` in the project's virtual environment, by `tools/setup`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import pulumi_build, pulumi_release
from tools.pulumi_pins import (
    HOW_TO_INSTALL,
    MINIMUM,
    PINNED,
    ToolchainError,
    cache_name,
    cache_root,
    is_cached,
    parse_version,
    say,
)


def provide(search_path: str, venv_bin: Path, root: Path, release: str = pulumi_release.ADDRESS) -> Path | None:
    """Return the folder whose executables are to be linked, or None when PATH has a CLI that will do."""
    if on_path(search_path, venv_bin):
        return None
    folder = root / cache_name()
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root, folder.name):
            if not folder.exists():
                _make(folder, release, shutil.which("go", path=search_path))
    return folder


def on_path(search_path: str, venv_bin: Path) -> Path | None:
    """Find a CLI that is new enough on PATH, ours left out; say which one is too old."""
    for entry in filter(None, search_path.split(os.pathsep)):
        found = Path(entry) / "pulumi"
        if Path(entry) == venv_bin or not os.access(found, os.X_OK) or is_cached(found.resolve()):
            continue
        version = version_of(found)
        if version is not None and version >= MINIMUM:
            return found
        known = ".".join(map(str, version)) if version else "without a version"
        say(f"passing over {found}: {known}, needed is {'.'.join(map(str, MINIMUM))} or newer")
    return None


def version_of(executable: Path) -> tuple[int, int, int] | None:
    """Ask an executable for its version, off the network; None when it gives none."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [executable, "version"], env=environment, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stdout)


def link(folder: Path | None, venv_bin: Path) -> None:
    """Make the folder's executables, and no others of any cache, available in the virtual environment."""
    wanted = {path.name: path for path in folder.iterdir()} if folder else {}
    for present in venv_bin.iterdir():
        if present.name not in wanted and present.is_symlink() and is_cached(present.readlink()):
            present.unlink()
    for name, path in wanted.items():
        place = venv_bin / name
        if not (place.is_symlink() and place.readlink() == path):
            # Replaced in one step: a program of this checkout may be starting the CLI right now.
            fresh = venv_bin / f".{name}.{os.getpid()}"
            fresh.symlink_to(path)
            fresh.replace(place)


@contextmanager
def _alone(root: Path, name: str) -> Iterator[None]:
    """Hold the cache against other checkouts that set up at this moment; the lock ends with the process."""
    with (root / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is making the Pulumi CLI; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Path, release: str, go: str | None) -> None:
    """Download or build into a neighbour folder, and give it its name when it is whole and runs."""
    partial = folder.with_name(f"{folder.name}.partial")
    _empty(partial)
    try:
        pulumi_release.download(partial, release)
    except pulumi_release.ReleaseUnavailable as reason:
        say(f"no Pulumi release from the vendor: {reason}")
        if go is None:
            raise ToolchainError(HOW_TO_INSTALL) from reason
        _empty(partial)
        pulumi_build.build(partial, go)
    if version_of(partial / "pulumi") != parse_version(PINNED):
        raise ToolchainError(f"the Pulumi CLI in {partial} does not run as {PINNED}; {HOW_TO_INSTALL}")
    partial.rename(folder)


def _empty(folder: Path) -> None:
    """Make a folder that holds nothing; a killed set-up may have left something."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()


def main() -> int:
    """Provide the CLI and link it into the virtual environment this runs in."""
    venv_bin = Path(sys.prefix) / "bin"
    try:
        link(provide(os.environ.get("PATH", ""), venv_bin, cache_root()), venv_bin)
    except ToolchainError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
