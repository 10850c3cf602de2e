"""What the provider process imports of ours, over what it imports of Pulumi's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

from bench.measure import Row, alternate, ratio_row
from bench.workbench import CHECKOUT, Workbench

_TIMED = "import time; _started = time.perf_counter(); {imports}; print(time.perf_counter() - _started)"


def provider_modules() -> list[str]:
    """List every module of the providers."""
    return sorted(
        f"bubble_sync.providers.{path.stem}" for path in (CHECKOUT / "bubble_sync/providers").glob("[a-z]*.py")
    )


def run(bench: Workbench) -> Iterator[Row]:
    """Import in fresh interpreters, timed inside them: their own start is in neither side."""
    ours = "; ".join(f"import {name}" for name in ("pulumi", *provider_modules()))
    sides = {"ours": _importing(ours), "baseline": _importing("import pulumi")}
    alternate(sides, 1)  # reads the files once
    samples = alternate(sides, bench.rounds)
    yield ratio_row("import the providers over import pulumi", samples["ours"], samples["baseline"], goal=1.2)


def _importing(imports: str) -> Callable[[], float]:
    command = [sys.executable, "-c", _TIMED.format(imports=imports)]

    def once() -> float:
        return float(subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout)

    # So short that one other process beside it doubles it: of three, the least disturbed.
    return lambda: min(once() for _ in range(3))
