"""Provide what the project needs besides the Python packages: the Pulumi CLI, a PostgreSQL, and tools of the tests.

Run as `python -m tools.provide [client|tests]` in the project's virtual environment, by `tools/setup`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bubble_sync.local.guardian import Guard
from bubble_sync.local.postgres.cache import cache_root
from tools import postgres, pulumi_cli, test_tools
from tools.pulumi_pins import ToolchainError, say

KINDS = ("all", "client", "tests")


def main(kind: str) -> int:
    """Provide everything of a kind, in parallel; print one line for each failure."""
    venv_bin = Path(sys.prefix) / "bin"
    path = os.environ.get("PATH", "")
    parts: list[Callable[[], None]] = [
        lambda: pulumi_cli.link(pulumi_cli.provide(path, venv_bin, cache_root()), venv_bin)
    ]
    if kind != "client":
        parts.append(postgres.provide)
    # Compilers and downloads end with this process.
    guard = Guard()
    with ThreadPoolExecutor(len(parts)) as pool:
        problems = [problem for problem in pool.map(_problem_of, parts) if problem]
    if kind == "tests" and not problems:
        test_tools.provide(venv_bin)
    guard.release()
    for problem in problems:
        say(problem)
    return 2 if problems else 0


def _problem_of(part: Callable[[], None]) -> str:
    """Run a part; return the reason of its failure in one line, or nothing."""
    try:
        part()
    except ToolchainError as problem:
        return str(problem)
    except OSError as problem:
        return (
            f"{problem.filename or 'the cache'}: {problem.strerror}; mend that, or set XDG_CACHE_HOME to another folder"
        )
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if sys.argv[1:] else KINDS[0]))
    except KeyboardInterrupt:
        say("interrupted; nothing was left half made, and the next set-up goes on from here")
        sys.exit(130)
