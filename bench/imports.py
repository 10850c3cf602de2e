"""The CPU time of our imports, in the program and in the provider process, over the import of pulumi."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

from bench.measure import Row, alternate
from bench.workbench import CHECKOUT, Workbench


def run(bench: Workbench) -> Iterator[Row]:
    """Import of the program and the providers, over import of pulumi."""
    files = sorted((CHECKOUT / "bubble_sync/providers").glob("[a-z]*.py"))
    providers = ("pulumi", *(f"bubble_sync.providers.{file.stem}" for file in files))
    program = ("components.program", "components.sync_setup", *providers)
    for what, modules, goal in (("the providers", providers, 1.2), ("program and providers", program, 1.25)):
        sides = {"ours": _importing(*modules), "baseline": _importing("pulumi")}
        samples = alternate(sides, bench.rounds)
        yield Row(f"import {what} over import pulumi", samples["ours"], samples["baseline"], goal=goal)


def _importing(*modules: str) -> Callable[[], float]:
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=CHECKOUT, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # One other process doubles so short a time; take the shortest of three.
    return lambda: min(once() for _ in range(3))
