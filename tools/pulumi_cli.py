"""A Pulumi CLI: from PATH, else the cache, else the vendor's release, else built with Go."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tools import cache_entry
from tools.pulumi_pins import (
    ENVIRONMENT,
    HOW_TO_INSTALL,
    MINIMUM,
    PINNED,
    ToolchainError,
    cache_name,
    is_cached,
    parse_version,
    say,
)

#: The environment's link in the virtual environment, as in the language host's script.
_ENVIRONMENT_LINK = "pulumi"


def provide(search_path: str, venv_bin: Path, root: Path, release: str | None = None) -> Path | None:
    """Return the folder of the executables to link, or None when PATH has a suitable CLI."""
    if on_path(search_path, venv_bin):
        return None
    folder = root / cache_name()
    if not folder.exists():
        with cache_entry.scratch_folder(root, folder.name) as scratch:
            if not folder.exists():
                _make(scratch, release, shutil.which("go", path=search_path))
                scratch.rename(folder)
    return folder


def on_path(search_path: str, venv_bin: Path) -> Path | None:
    """Find a CLI on PATH, except ours, that is new enough; print the ones that are too old."""
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
    wanted = {venv_bin / path.name: path for path in folder.iterdir() if path.is_file()} if folder else {}
    environment = folder / ENVIRONMENT if folder else None
    if environment and environment.is_dir():
        wanted[venv_bin.parent / _ENVIRONMENT_LINK] = environment
    for present in (*venv_bin.iterdir(), venv_bin.parent / _ENVIRONMENT_LINK):
        if present not in wanted and present.is_symlink() and is_cached(present.readlink()):
            present.unlink()
    for place, path in wanted.items():
        cache_entry.link(place, path)


def _make(folder: Path, release: str | None, go: str | None) -> None:
    """Download the CLI into an empty folder, or build it there; raise ToolchainError."""
    # Here, because a set-up that finds everything needs no HTTP client.
    from tools import pulumi_build, pulumi_release

    try:
        pulumi_release.download(folder, release or pulumi_release.ADDRESS)
    except pulumi_release.ReleaseUnavailable as reason:
        why = f"the vendor's release cannot be downloaded ({reason})"
        if go is None:
            raise ToolchainError(f"{why}; {HOW_TO_INSTALL}") from reason
        for left in folder.iterdir():
            left.unlink()
        pulumi_build.build(folder, go, why)
    if version_of(folder / "pulumi") != parse_version(PINNED):
        raise ToolchainError(f"the Pulumi CLI in {folder} does not run as {PINNED}; {HOW_TO_INSTALL}")
