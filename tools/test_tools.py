"""Provide the tools of the tests: pgbouncer, Chromium and tmux, private on a machine without them, and plpgsql_check.

No failure here stops a set-up: tests without their tool are skipped by name, and fail in CI.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.local.postgres.cache import cache_root
from bubble_sync.local.postgres.installation import find_installation
from tools.apt import AptError, install_as_root, private_apt, run, unpack
from tools.cache_entry import link, scratch_folder
from tools.pulumi_pins import say


@dataclass(frozen=True)
class Tool:
    """A program of one Debian package."""

    package: str
    program: str
    #: Names of the machine's own command.
    commands: tuple[str, ...]
    version_option: str = "--version"


TOOLS = (
    Tool("chromium", "usr/lib/chromium/chromium", ("chromium", "chromium-browser", "google-chrome")),
    Tool("pgbouncer", "usr/sbin/pgbouncer", ("pgbouncer",)),
    Tool("tmux", "usr/bin/tmux", ("tmux",), "-V"),
)
#: Start a program with its unpacked libraries, also after a move of their folder.
_STARTER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
exec "$here/{program}" "$@"
"""


def provide(venv_bin: Path) -> None:
    """Make the tools available in the virtual environment; print one line for each failure."""
    # Debian puts pgbouncer into a folder of root's PATH alone.
    search_path = os.pathsep.join([*(entry for entry in os.get_exec_path() if Path(entry) != venv_bin), "/usr/sbin"])
    for tool in TOOLS:
        if any(shutil.which(command, path=search_path) for command in tool.commands):
            continue
        starter = _folder(tool) / tool.package
        try:
            if not starter.exists():
                _download(tool)
            link(venv_bin / tool.package, starter)
        except AptError as reason:
            say(f"{tool.package} cannot be installed ({reason}): tests that need it are skipped")
    _provide_checker()


def _folder(tool: Tool) -> Path:
    """Return the folder of a tool, named after the system: each release lacks other libraries."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    system = f"{release.get('ID', 'linux')}{release.get('VERSION_ID', '')}"
    return cache_root() / f"{tool.package}-{system}-{platform.machine()}"


def _download(tool: Tool) -> None:
    """Unpack a tool, with the libraries that the machine lacks, into the cache; raise AptError."""
    folder = _folder(tool)
    with scratch_folder(cache_root(), folder.name) as scratch:
        if folder.exists():
            return
        say(f"downloading {tool.package} for the tests into the cache")
        apt = private_apt(scratch / "apt", installed=True)
        apt.update()
        tree = scratch / "tree"
        unpack(apt.download_missing([tool.package]), tree)
        _write_starter(tool, tree)
        run([str(tree / tool.package), tool.version_option])
        tree.rename(folder)


def _write_starter(tool: Tool, tree: Path) -> None:
    folders = {path.parent.relative_to(tree) for path in tree.glob("**/*-linux-gnu*/**/*.so*")}
    starter = tree / tool.package
    starter.write_text(
        _STARTER.format(libraries=":".join(f"$here/{each}" for each in sorted(folders)), program=tool.program)
    )
    starter.chmod(0o755)


def _provide_checker() -> None:
    """Install plpgsql_check for the machine's own server; a private server includes it."""
    try:
        server = find_installation()
    except PlatformError:
        return
    if server.private or (server.share / "extension" / "plpgsql_check.control").exists():
        return
    package = f"postgresql-{server.major}-plpgsql-check"
    try:
        install_as_root([package])
    except AptError as reason:
        say(f"{package} cannot be installed ({reason}): tests that need it are skipped")
