"""Where this machine keeps a PostgreSQL that can be the platform's server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError

OLDEST_MAJOR = 15
#: Debian and PGDG keep the servers out of PATH.
SERVER_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/*/postgresql*/bin")


@dataclass(frozen=True)
class Installation:
    """One installed PostgreSQL server."""

    major: int
    bin: Path
    lib: Path
    share: Path

    @property
    def root(self) -> Path:
        """Return the deepest folder that holds all three."""
        return Path(os.path.commonpath([self.bin, self.lib, self.share]))

    @property
    def has_cron(self) -> bool:
        """Say whether pg_cron can be created here."""
        return (self.share / "extension" / "pg_cron.control").is_file()


def _candidates() -> Iterator[Path]:
    # PATH first: of two installations of one version, the one that somebody chose.
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


def find_installation() -> Installation:
    """Return the newest PostgreSQL >= 15 with pg_cron, or raise PlatformError that names the packages."""
    found = [each for each in map(_inspect, dict.fromkeys(_candidates())) if each and each.major >= OLDEST_MAJOR]
    ready = [each for each in found if each.has_cron]
    if ready:
        return max(ready, key=lambda each: each.major)
    if found:
        newest = max(each.major for each in found)
        raise PlatformError(
            f"PostgreSQL {newest} is here without pg_cron: apt-get install postgresql-{newest}-cron, then try again"
        )
    raise PlatformError(
        f"no PostgreSQL >= {OLDEST_MAJOR} on this machine: apt-get install postgresql-15 postgresql-15-cron, "
        "then try again"
    )
