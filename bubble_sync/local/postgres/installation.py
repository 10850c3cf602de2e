"""Find the platform's PostgreSQL: the machine's own, or the private one of `make setup`.

Hosted projects run PostgreSQL 17 with pg_cron 1.6, so the platform does too wherever it can. `POSTGRES=15` or
`POSTGRES=17` in the environment asks for one major version.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.files import whole_folder
from bubble_sync.local.postgres.cache import cache_root, private_postgresql

OLDEST_MAJOR = 15
#: What hosted projects run.
HOSTED_MAJOR, HOSTED_CRON = 17, (1, 6)
SERVER_VARIABLE = "POSTGRES"
#: Debian and PGDG keep the servers out of PATH.
SERVER_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/*/postgresql*/bin")


@dataclass(frozen=True)
class Installation:
    """One PostgreSQL server on this machine."""

    major: int
    bin: Path
    lib: Path
    share: Path
    #: Of a private server: the dynamic loader and the libraries that came with it. Its C library may be newer than the
    #: machine's.
    loader: Path | None = None
    libraries: tuple[Path, ...] = ()

    @property
    def root(self) -> Path:
        """Return the deepest folder that holds bin, lib and share."""
        return Path(os.path.commonpath([self.bin, self.lib, self.share]))

    @property
    def folder(self) -> Path:
        """Return the folder that a private server was unpacked into."""
        return self.bin.parents[4]

    @property
    def cron(self) -> tuple[int, ...] | None:
        """Return the version of the installed pg_cron."""
        try:
            control = (self.share / "extension" / "pg_cron.control").read_text("utf-8")
        except OSError:
            return None
        found = re.search(r"^default_version\s*=\s*'([\d.]+)", control, re.MULTILINE)
        return tuple(map(int, found[1].split("."))) if found else (0,)

    @property
    def as_hosted(self) -> bool:
        """Return whether the versions are those of hosted projects, or newer."""
        return self.major >= HOSTED_MAJOR and (self.cron or (0,)) >= HOSTED_CRON

    @property
    def private(self) -> bool:
        """Return whether the server is the one that `make setup` unpacked."""
        return self.loader is not None


def private_installation(folder: Path) -> Installation | None:
    """Read a private PostgreSQL, as Debian's packages are laid out; None where the folder holds none."""
    programs = next(folder.glob("usr/lib/postgresql/*/bin"), None)
    loaders = sorted(folder.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*")) + sorted(
        folder.glob("lib/*-linux-gnu*/ld-linux*.so.*")
    )
    if programs is None or not loaders:
        return None
    triple, version = loaders[0].parent.name, programs.parent.name
    libraries = tuple(path for path in (folder / "usr/lib" / triple, folder / "lib" / triple) if path.is_dir())
    return Installation(
        int(version),
        programs,
        programs.with_name("lib"),
        folder / "usr/share/postgresql" / version,
        loaders[0],
        libraries,
    )


def copy_server(server: Installation, folder: Path) -> Installation:
    """Copy a private server into a folder, once, and return the copy."""
    if not folder.exists():
        with whole_folder(folder) as half:
            shutil.copytree(server.folder, half, symlinks=True)
    copy = private_installation(folder)
    if copy is None:
        raise PlatformError(f"{folder} holds no PostgreSQL: `bubble-sync local down`, then `up`")
    return copy


def wanted_major() -> int | None:
    """Return the major version that the environment asks for; raise PlatformError for anything but a number."""
    text = os.environ.get(SERVER_VARIABLE, "")
    if not text:
        return None
    if not text.isdecimal() or int(text) < OLDEST_MAJOR:
        raise PlatformError(
            f"{SERVER_VARIABLE} is {text!r}, not a major version >= {OLDEST_MAJOR}: set 15 or 17, or unset it"
        )
    return int(text)


def find_installation(major: int | None = None) -> Installation:
    """Return the server for the platform.

    First comes a machine's server with the hosted versions, then the private one, then an older one of the machine.

    Args:
        major: The major version; by default the environment's, or else any.

    Raises:
        PlatformError: No such server with pg_cron is here.
    """
    major = major or wanted_major()
    found = servers()
    ready = [each for each in found if each.cron and major in (None, each.major)]
    if ready:
        return max(ready, key=_preference)
    if major is not None:
        raise PlatformError(
            f"PostgreSQL {major} with pg_cron is not installed: {_how_to_get(major, f'{SERVER_VARIABLE}={major} ')}"
        )
    if found:
        newest = max(each.major for each in found)
        raise PlatformError(f"PostgreSQL {newest} is here without pg_cron: {_how_to_get(newest)}")
    raise PlatformError(f"no PostgreSQL >= {OLDEST_MAJOR} with pg_cron on this machine: {_how_to_get(HOSTED_MAJOR)}")


def _how_to_get(major: int, variable: str = "") -> str:
    return (
        f"run `{variable}make setup` in a checkout of bubble-sync, or install the package postgresql-{major}-cron "
        "of Debian, Ubuntu or PostgreSQL's own archive"
    )


def servers() -> list[Installation]:
    """Return every PostgreSQL >= 15 of this machine and of the cache, with pg_cron or without."""
    machine = map(_inspect, dict.fromkeys(_candidates()))
    cached = map(private_installation, sorted(cache_root().glob(private_postgresql("*").name)))
    return [each for each in (*machine, *cached) if each and each.major >= OLDEST_MAJOR]


def _preference(server: Installation) -> tuple[bool, bool, int, bool]:
    own = not server.private
    return (server.as_hosted, own and server.as_hosted, server.major, own)


def _candidates() -> Iterator[Path]:
    # PATH first: of two installations of one version, the one that the user chose.
    for entry in os.get_exec_path():
        # A link in PATH leads to the real folder; PostgreSQL resolves its own links in the same way.
        yield (Path(entry) / "pg_config").resolve().parent
    for pattern in SERVER_PLACES:
        yield from Path("/").glob(pattern.removeprefix("/"))


def _inspect(folder: Path) -> Installation | None:
    try:
        if not (folder / "postgres").is_file() or not (folder / "pg_config").is_file():
            return None
    except OSError:
        return None  # an entry of PATH that we may not enter
    asked = subprocess.run([folder / "pg_config"], capture_output=True, text=True, check=False)
    facts = dict(line.split(" = ", 1) for line in asked.stdout.splitlines() if " = " in line)
    version = re.match(r"PostgreSQL (\d+)", facts.get("VERSION", ""))
    if version is None or not {"BINDIR", "PKGLIBDIR", "SHAREDIR"} <= facts.keys():
        return None
    return Installation(int(version[1]), Path(facts["BINDIR"]), Path(facts["PKGLIBDIR"]), Path(facts["SHAREDIR"]))
