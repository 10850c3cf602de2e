"""Provide a private PostgreSQL with pg_cron on a machine without the hosted version."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.local.postgres.cache import cache_root, private_postgresql
from bubble_sync.local.postgres.installation import (
    HOSTED_MAJOR,
    OLDEST_MAJOR,
    Installation,
    private_installation,
    servers,
    wanted_major,
)
from tools.apt import Apt, AptError, debian_source, private_apt, unpack
from tools.cache_entry import scratch_folder
from tools.pulumi_pins import ToolchainError, say

#: The Debian release that has a major version, for machines of another release.
SUITES = {15: "bookworm", 17: "trixie"}
#: What a server does not need to run.
_DROPPED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/postgresql-common")
_CRON = r"^postgresql-([0-9]+)-cron$"


def provide() -> None:
    """Unpack a PostgreSQL into the cache unless a suitable one is here.

    Raises:
        ToolchainError: No server is here, and none can be downloaded.
    """
    try:
        major = wanted_major()
    except PlatformError as problem:
        raise ToolchainError(str(problem)) from None
    ready = _ready(major)
    if any(major is not None or each.as_hosted for each in ready):
        return
    try:
        _download(major)
    except AptError as reason:
        if not ready:
            wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {HOSTED_MAJOR}, or any from {OLDEST_MAJOR} on"
            advice = f"Install {wanted} with pg_cron, then run this again"
            raise ToolchainError(f"no PostgreSQL could be downloaded: {reason}. {advice}") from None
        best = max(each.major for each in ready)
        say(f"using this machine's PostgreSQL {best}: {HOSTED_MAJOR} cannot be downloaded ({reason})")


def _ready(major: int | None) -> list[Installation]:
    """List the servers here that have pg_cron."""
    return [each for each in servers() if each.cron and major in (None, each.major)]


def _download(major: int | None) -> None:
    """Download and unpack one version; raise AptError."""
    with scratch_folder(cache_root(), "postgresql") as scratch:
        if any(major is not None or each.as_hosted for each in _ready(major)):
            return
        began = time.monotonic()
        version, apt = _offer(major, scratch)
        server = scratch / "server"
        # plpgsql_check is for the tests, and not always on offer.
        checker = apt.names(f"^postgresql-{version}-plpgsql-check$")
        packages = apt.download(apt.libraries_of([f"postgresql-{version}", f"postgresql-{version}-cron", *checker]))
        megabytes = sum(each.stat().st_size for each in packages) / 1e6
        unpack(packages, server)
        for name in (*_DROPPED, f"usr/lib/postgresql/{version}/lib/bitcode"):
            shutil.rmtree(server / name, ignore_errors=True)
        _prove(server, version)
        server.rename(private_postgresql(version))
        say(
            f"unpacked PostgreSQL {version} with pg_cron into the cache: "
            f"{megabytes:.0f} MB of packages in {time.monotonic() - began:.0f} s"
        )


def _offer(major: int | None, scratch: Path) -> tuple[int, Apt]:
    """Find an apt that offers the version, or else the newest that the machine's own sources have."""
    reason = AptError(f"no apt source here has PostgreSQL {major or HOSTED_MAJOR} with pg_cron")
    for apt in _sources(major, scratch):
        try:
            apt.update()
            offered = [int(found[1]) for name in apt.names(_CRON) if (found := re.match(_CRON, name))]
        except AptError as problem:
            reason = problem
            continue
        fitting = [each for each in offered if (each == major if major else each >= OLDEST_MAJOR)]
        if fitting:
            # Newer than hosted projects is no better.
            return max(fitting, key=lambda each: (each == HOSTED_MAJOR, each)), apt
    raise reason


def _sources(major: int | None, scratch: Path) -> Iterator[Apt]:
    suite = SUITES.get(major or HOSTED_MAJOR)
    if suite is not None:
        say(f"downloading PostgreSQL {major or HOSTED_MAJOR} with pg_cron (about 50 MB) into the cache")
        yield private_apt(scratch / suite, source=debian_source(scratch, suite))
    say("looking for PostgreSQL in the machine's own apt sources")
    yield private_apt(scratch / "own")


def _prove(folder: Path, version: int) -> None:
    """Run the unpacked server's own version check; raise AptError."""
    server = private_installation(folder)
    if server is None or server.loader is None or server.cron is None:
        raise AptError(f"the packages of PostgreSQL {version} hold no server with pg_cron and its libraries")
    libraries = ":".join(map(str, server.libraries))
    command = [str(server.loader), "--library-path", libraries, str(server.bin / "postgres"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AptError(f"the downloaded PostgreSQL {version} does not run here ({reason})")
