"""Time `bubble-sync drift --all-stacks` over a fleet of a hundred stacks against one stack after the other."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence

from bench.measure import Row, alternate, seconds
from bench.pulumi_runs import our_stack
from bench.workbench import Workbench
from bubble_sync.compare.drift import StackStatus, check_stack
from bubble_sync.config.stacks import Stack, ask_all, locate_stack

STACKS, FEW = 100, 10


def run(bench: Workbench) -> Iterator[Row]:
    """Drift of 100 stacks, in parallel over one by one; each asks Pulumi for its settings."""
    local = our_stack(bench)
    # One database stands for all: each stack reads its configuration and opens its own connection.
    one = locate_stack("local", local.config_file, local.checkout, local.environment)
    fleet = [one] * STACKS
    _parallel(fleet[:FEW])
    few = _peak()
    _parallel(fleet)
    yield Row(f"memory after {STACKS} stacks over after {FEW}", [_peak()], [few], 1.1, "{:.0f} MiB")
    work = {"parallel": lambda: _parallel(fleet), "serial": lambda: _serial(fleet)}
    samples = alternate({name: seconds(one) for name, one in work.items()}, max(1, bench.rounds // 3))
    yield Row(f"drift of {STACKS} stacks, in parallel over serial", samples["parallel"], samples["serial"], 0.6)


def _parallel(fleet: Sequence[Stack]) -> None:
    _require_clean([report.status for report in ask_all(fleet, check_stack)])


def _serial(fleet: Sequence[Stack]) -> None:
    _require_clean([check_stack(stack).status for stack in fleet])


def _require_clean(found: Sequence[StackStatus]) -> None:
    if set(found) != {StackStatus.CLEAN}:
        raise RuntimeError(f"a stack is not clean: {', '.join(sorted(set(found)))}")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
