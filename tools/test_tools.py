"""Provide the tools of the tests: pgbouncer, Chromium, tmux, Deno, plpgsql_check and pg_dump, private where missing.

No failure here stops a set-up: tests without their tool are skipped by name, and fail in CI.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.local.postgres.cache import cache_root
from bubble_sync.local.postgres.installation import Installation, find_installation
from tools.apt import AptError, debian_source, install_as_root, private_apt, run, unpack
from tools.cache_entry import link, scratch_folder
from tools.postgres import SUITES
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
_DENO = Path(__file__).with_name("deno")
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
    _provide_deno(venv_bin)
    try:
        server = find_installation()
    except PlatformError:
        return
    _provide_checker(server)
    _provide_clients(server)


def clients_folder(server: Installation) -> Path:
    """Return the folder with pg_dump and pg_restore of the server's version."""
    return server.bin if not server.private else cache_root() / f"postgresql-client-{server.major}-{platform.machine()}"


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


def _provide_deno(venv_bin: Path) -> None:
    """Install the locked Deno from npm into the cache; another version may judge the types differently."""
    version = json.loads((_DENO / "package.json").read_text("utf-8"))["dependencies"]["deno"]
    folder = cache_root() / f"deno-{version}-{platform.system().lower()}-{platform.machine()}"
    with scratch_folder(cache_root(), folder.name) as scratch:
        if not folder.exists():
            if shutil.which("npm") is None:
                say("there is no npm: tests that need deno are skipped")
                return
            say(f"installing Deno {version} for the tests into the cache")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_DENO / name, scratch)
            try:
                run(["npm", "ci", "--prefix", str(scratch), "--ignore-scripts", "--no-audit", "--no-fund"])
                run([str(_deno_in(scratch)), "--version"])
            except AptError as reason:
                say(f"deno cannot be installed ({reason}): tests that need it are skipped")
                return
            scratch.rename(folder)
    link(venv_bin / "deno", _deno_in(folder))


def _deno_in(folder: Path) -> Path:
    program = next(folder.glob("node_modules/@deno/*/deno"), None)
    if program is None:
        raise AptError("npm has none for this machine")
    return program


def _provide_checker(server: Installation) -> None:
    """Install plpgsql_check for the machine's own server; a private server includes it."""
    if server.private or (server.share / "extension" / "plpgsql_check.control").exists():
        return
    package = f"postgresql-{server.major}-plpgsql-check"
    try:
        install_as_root([package])
    except AptError as reason:
        say(f"{package} cannot be installed ({reason}): tests that need it are skipped")


def _provide_clients(server: Installation) -> None:
    """Unpack pg_dump and pg_restore for a private server; the machine's own server came with them."""
    folder = clients_folder(server)
    if folder.exists():
        return
    package = f"postgresql-client-{server.major}"
    with scratch_folder(cache_root(), folder.name) as scratch:
        if folder.exists():
            return
        suite = SUITES.get(server.major)
        try:
            apt = private_apt(scratch / "apt", source=debian_source(scratch, suite) if suite else "")
            apt.update()
            unpack(apt.download(apt.libraries_of([package])), scratch / "tree")
            _write_client_starters(scratch / "tree", folder)
        except AptError as reason:
            say(f"{package} cannot be had ({reason}): tests that need pg_dump are skipped")
            return
        (scratch / "tree").rename(folder)


def _write_client_starters(tree: Path, place: Path) -> None:
    """Write scripts that start the programs through the C library that came with them, from their final place."""
    loader = next(tree.glob("**/*-linux-gnu*/ld-linux*.so.*"), None)
    if loader is None:
        raise AptError("the packages hold no C library")
    for name in ("pg_dump", "pg_restore"):
        program = next(tree.glob(f"usr/lib/postgresql/*/bin/{name}"))
        words = (place / loader.relative_to(tree), "--library-path", place / loader.parent.relative_to(tree))
        starter = tree / name
        starter.write_text(
            f'#!/bin/sh\nexec {shlex.join(map(str, (*words, place / program.relative_to(tree))))} "$@"\n'
        )
        starter.chmod(0o755)
