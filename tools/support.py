"""Run the tests that depend on the server on every supported PostgreSQL, and print one row for each.

Run as `python -m tools.support`, by `make support`. Exit 0, or 1 when a test failed. A version that cannot be had
here has a row and fails nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bubble_sync.errors import PlatformError
from bubble_sync.local.postgres.installation import SERVER_VARIABLE, Installation, find_installation
from tools.pulumi_pins import say

#: From the oldest server that the platform takes to the one of hosted projects.
SUPPORTED = (15, 16, 17)
#: Extensions and their probes, locks and privileges, schedules, and dumps.
TESTS = (
    "tests/contract",
    "tests/database/test_converging.py",
    "tests/stack/test_schedules.py",
    "tests/stack/test_restored.py",
)


def main() -> int:
    """Print the table; return whether a test failed."""
    print("| PostgreSQL | pg_cron | Tests |\n|---|---|---|", flush=True)
    failed = [_failed(major) for major in SUPPORTED]
    return int(any(failed))


def _failed(major: int) -> bool:
    """Print the row of a version, and return whether a test failed there."""
    environment = {**os.environ, SERVER_VARIABLE: str(major)}
    setup = subprocess.run(["tools/setup", "tests"], env=environment, capture_output=True, text=True, check=False)
    try:
        server = find_installation(major)
    except PlatformError:
        # The last line has the reason and what to install.
        print(setup.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        print(f"| {major} | | not here |", flush=True)
        return False
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", *TESTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        say(done.stdout)
    result = done.stdout.strip().splitlines()[-1].partition(" in ")[0]
    print(f"| {_version(server)} | {'.'.join(map(str, server.cron or ()))} | {result} |", flush=True)
    return done.returncode != 0


def _version(server: Installation) -> str:
    """Return the full version of a server."""
    starter = [server.loader, "--library-path", ":".join(map(str, server.libraries))] if server.loader else []
    command = [*map(str, starter), str(server.bin / "postgres"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2]


if __name__ == "__main__":
    sys.exit(main())
