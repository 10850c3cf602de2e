"""Time things in alternation and print their statistics."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Row:
    """One line of the result: our samples over the baseline's, and the highest good median of the ratios.

    The ratios are of one round each: a disturbance of the machine reaches both sides of a round.
    """

    what: str
    ours: Sequence[float]
    baseline: Sequence[float]
    goal: float | None = None
    unit: str = "s"

    @property
    def ratios(self) -> list[float]:
        """Return the ratio of each round, the lowest first."""
        return sorted(mine / other for mine, other in zip(self.ours, self.baseline, strict=True))

    @property
    def met(self) -> bool | None:
        """Return whether the median meets the goal; None without a goal."""
        return None if self.goal is None else statistics.median(self.ratios) <= self.goal

    @property
    def note(self) -> str:
        """Return the medians of both sides."""
        return f"{statistics.median(self.ours):.3f} {self.unit} over {statistics.median(self.baseline):.3f} {self.unit}"


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
