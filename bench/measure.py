"""Time things in alternation and print their statistics."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Row:
    """One line of the result: a median with its range, and the most that it should be."""

    what: str
    median: float
    low: float
    high: float
    unit: str
    goal: float | None = None
    note: str = ""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Return whether the median meets the goal; None without a goal."""
        return None if self.goal is None else self.median <= self.goal


def alternate(contestants: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Sample all contestants in every round, each second round in the opposite order, after one round unrecorded."""
    for contestant in contestants.values():
        contestant()  # reads the files once
    samples: Samples = {name: [] for name in contestants}
    for turn in range(rounds):
        order = list(contestants) if turn % 2 == 0 else list(contestants)[::-1]
        for name in order:
            samples[name].append(contestants[name]())
    return samples


def seconds(work: Callable[[], object]) -> Callable[[], float]:
    """Return a function that does the work and returns how long it took."""

    def timed() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return timed


def ratio_row(what: str, ours: Sequence[float], baseline: Sequence[float], goal: float | None = None) -> Row:
    """Compare round by round: what disturbs the machine disturbs both sides of one round."""
    ratios = [mine / other for mine, other in zip(ours, baseline, strict=True)]
    mine, other = statistics.median(ours), statistics.median(baseline)
    return Row(
        what,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        "x",
        goal,
        f"{mine:.3f} s over {other:.3f} s",
        {"ours": list(ours), "baseline": list(baseline)},
    )


def sample_row(what: str, samples: Sequence[float], unit: str, goal: float | None = None, note: str = "") -> Row:
    """Return the median and range of one list of samples."""
    median = statistics.median(samples)
    return Row(what, median, min(samples), max(samples), unit, goal, note, {"ours": list(samples)})
