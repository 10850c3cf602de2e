"""What stands around the marks of a chart: grid, numbers and moments."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bubble_sync.health.history import History

WIDTH = 640
LEFT, TOP, BOTTOM = 92, 14, 26
RIGHT_EDGE = WIDTH - 12
PLOT_WIDTH = RIGHT_EDGE - LEFT
PLOT_HEIGHT = 150
_TICK_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
_MOST_TICKS = 8


@dataclass(frozen=True)
class Label:
    """A word beside an axis."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True)
class Line:
    """A straight line: part of the grid, or a limit."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: Literal["grid", "limit"] = "grid"


def moment(at: datetime) -> str:
    """Write a moment of a span, in UTC."""
    return f"{at.astimezone(UTC):%m-%d %H:%M}"


def dated(at: datetime) -> str:
    """Write a moment with its year, in UTC: a page is read years later."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def above(most: int) -> int:
    """Return a round number that is not below, whose half is a whole number."""
    if most <= 2:
        return 2
    size = 10 ** int(math.log10(most))
    return int(next(size * step for step in (1, 2, 4, 6, 8, 10) if size * step >= most and size * step % 2 == 0))


def scale(top: int, height: float = PLOT_HEIGHT) -> tuple[tuple[Label, ...], tuple[Line, ...]]:
    """Draw three levels, from none to `top`, which stands at this height."""
    floor = TOP + PLOT_HEIGHT
    levels = [(value, floor - height * value / top) for value in (0, top // 2, top)]
    labels = tuple(Label(LEFT - 8, y + 4, str(value), "end") for value, y in levels)
    return labels, tuple(Line(LEFT, y, RIGHT_EDGE, y) for _, y in levels)


def times(past: History, floor: float) -> tuple[tuple[Label, ...], tuple[Line, ...]]:
    """Draw round moments below the plot."""
    span = past.until - past.since
    ticks = [(at, LEFT + PLOT_WIDTH * ((at - past.since) / span)) for at in _ticks(past.since, past.until)]
    form = "%H:%M" if span <= timedelta(days=2) else "%m-%d"
    labels = tuple(Label(x, floor + 18, f"{at:{form}}") for at, x in ticks)
    return labels, tuple(Line(x, floor, x, floor + 4) for _, x in ticks)


def _ticks(since: datetime, until: datetime) -> Iterator[datetime]:
    """Give round moments, at most eight."""
    minutes = (until - since).total_seconds() / 60
    step = timedelta(minutes=next(one for one in _TICK_MINUTES if minutes / one <= _MOST_TICKS))
    day = datetime.combine(since.astimezone(UTC).date(), datetime.min.time(), UTC)
    at = day + math.ceil((since - day) / step) * step
    while at <= until:
        yield at
        at += step
