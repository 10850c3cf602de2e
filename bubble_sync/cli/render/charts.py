"""Coordinates of charts: marks, lines and labels that the page's template draws as SVG."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bubble_sync.formatting import format_age, format_minute
from bubble_sync.health.history import SPAN_PARTS, Depth, History, Latency, SentCount
from bubble_sync.records.verdicts import VERDICTS

WIDTH = 720
LEFT, TOP, BOTTOM = 172, 14, 26
RIGHT_EDGE = WIDTH - 12
PLOT_WIDTH = RIGHT_EDGE - LEFT
PLOT_HEIGHT = 150
_TICK_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
_MOST_TICKS = 8


@dataclass(frozen=True)
class Label:
    """A label of an axis."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True)
class ChartLine:
    """A straight line: part of the grid, or a limit."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: Literal["grid", "limit"] = "grid"


def above(most: int) -> int:
    """Return the next round number with a whole half."""
    if most <= 2:
        return 2
    size = 10 ** int(math.log10(most))
    return int(next(size * step for step in (1, 2, 4, 6, 8, 10) if size * step >= most and size * step % 2 == 0))


def scale(top: int, height: float = PLOT_HEIGHT) -> tuple[tuple[Label, ...], tuple[ChartLine, ...]]:
    """Draw three levels from zero to `top`."""
    floor = TOP + PLOT_HEIGHT
    levels = [(value, floor - height * value / top) for value in (0, top // 2, top)]
    labels = tuple(Label(LEFT - 8, y + 4, str(value), "end") for value, y in levels)
    return labels, tuple(ChartLine(LEFT, y, RIGHT_EDGE, y) for _, y in levels)


def times(past: History, floor: float) -> tuple[tuple[Label, ...], tuple[ChartLine, ...]]:
    """Draw round times below the plot."""
    span = past.until - past.since
    ticks = [(at, LEFT + PLOT_WIDTH * ((at - past.since) / span)) for at in _ticks(past.since, past.until)]
    form = "%H:%M" if span <= timedelta(days=2) else "%m-%d"
    labels = tuple(Label(x, floor + 18, f"{at:{form}}") for at, x in ticks)
    return labels, tuple(ChartLine(x, floor, x, floor + 4) for _, x in ticks)


def _ticks(since: datetime, until: datetime) -> Iterator[datetime]:
    """Return at most eight round times."""
    minutes = (until - since).total_seconds() / 60
    step = timedelta(minutes=next(one for one in _TICK_MINUTES if minutes / one <= _MOST_TICKS))
    day = datetime.combine(since.astimezone(UTC).date(), datetime.min.time(), UTC)
    at = day + math.ceil((since - day) / step) * step
    while at <= until:
        yield at
        at += step


_LANE_HEIGHT = 24
_SEEN = 2.0
"""Smallest visible height."""


@dataclass(frozen=True)
class Mark:
    """A rectangle: `kind` sets the colour, `title` the tooltip, `text` the label above."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """One drawing, with a description for screen readers."""

    id: str
    title: str
    description: str
    height: float
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    lines: tuple[ChartLine, ...]
    legend: tuple[tuple[str, str], ...] = ()
    """Kinds of marks that need a name, with their names."""


def depth_chart(depths: Sequence[Depth], past: History) -> Chart:
    """Draw a bar for each part with items: those that stand at failed now below, the others above them."""
    top = above(max(depth.most for depth in depths))
    floor = TOP + PLOT_HEIGHT
    marks = tuple(mark for number, depth in enumerate(depths) for mark in _depth_marks(number, depth, top))
    highest = max(depths, key=lambda depth: depth.most)
    description = (
        f"{sum(depth.enqueued for depth in depths)} items enqueued and "
        f"{sum(depth.completed for depth in depths)} completed; "
        f"{depths[-1].left} are there now, {depths[-1].failed} of them failed, and at most {highest.most}"
        + (f" after {format_minute(highest.at)}." if highest.most else ".")
    )
    labels, lines = scale(top)
    hours, ticks = times(past, floor)
    return Chart(
        "depth", "Items that were not completed", description, floor + BOTTOM, marks, labels + hours, lines + ticks,
        (("waiting", "waiting or in work"), ("failed", "failed now")),
    )  # fmt: skip


def _depth_marks(number: int, depth: Depth, top: int) -> Iterator[Mark]:
    """Draw one part: failed items filled, the others as an outline."""
    step, base = PLOT_WIDTH / SPAN_PARTS, float(TOP + PLOT_HEIGHT)
    for kind, items in (("failed", depth.failed), ("waiting", depth.most - depth.failed)):
        if not items:
            continue
        high = max(_SEEN, PLOT_HEIGHT * items / top)
        base -= high
        title = (
            f"from {format_minute(depth.at)}: {depth.failed} failed"
            if kind == "failed"
            else f"from {format_minute(depth.at)}: at most {depth.most}, {depth.enqueued} enqueued, "
            f"{depth.completed} completed"
        )
        yield Mark(LEFT + number * step, base, max(step - 1, 1), high, kind, title)


def request_chart(sent: Sequence[SentCount], past: History) -> Chart:
    """Draw a lane for each verdict, with a mark for each part with such requests."""
    step, seconds = PLOT_WIDTH / SPAN_PARTS, (past.until - past.since).total_seconds() / SPAN_PARTS
    counts: Counter[tuple[datetime, str]] = Counter()
    for one in sent:
        # A later version's verdict has no lane here.
        if one.verdict in VERDICTS:
            counts[one.at, one.verdict] += one.requests
    marks = tuple(
        Mark(
            LEFT + round((at - past.since).total_seconds() / seconds) * step,
            TOP + VERDICTS.index(verdict) * _LANE_HEIGHT + 4, max(step - 1, 1), _LANE_HEIGHT - 8,
            verdict.replace(" ", "-").replace("'", ""), f"from {format_minute(at)}: {requests} {verdict}",
        )
        for (at, verdict), requests in sorted(counts.items())
    )  # fmt: skip
    totals = {verdict: sum(one.requests for one in sent if one.verdict == verdict) for verdict in VERDICTS}
    description = ", ".join(f"{many} {verdict}" for verdict, many in totals.items() if many) or "no request was sent"
    tops = [TOP + number * _LANE_HEIGHT for number in range(len(VERDICTS) + 1)]
    names = tuple(
        Label(LEFT - 8, y + _LANE_HEIGHT / 2 + 4, verdict, "end") for y, verdict in zip(tops, VERDICTS, strict=False)
    )
    lanes = tuple(ChartLine(LEFT, y, RIGHT_EDGE, y) for y in tops)
    floor = tops[-1]
    hours, ticks = times(past, floor)
    return Chart(
        "requests", "Requests by verdict", f"{description}.", floor + BOTTOM, marks, names + hours, lanes + ticks
    )


def latency_chart(latency: Latency) -> Chart:
    """Draw a bar for each non-empty bin, with the target as a line between bins."""
    top, edges, target = above(max(latency.bins)), latency.edges, latency.target.seconds
    floor, step = TOP + PLOT_HEIGHT, PLOT_WIDTH / len(edges)
    marks = tuple(
        Mark(
            LEFT + number * step + 2, floor - high, step - 4, high, "kept" if edge < target else "late",
            f"{bin_name(number, edges)}: {items}", str(items),
        )
        for number, (edge, items) in enumerate(zip(edges, latency.bins, strict=True))
        if items and (high := max(_SEEN, (PLOT_HEIGHT - 12) * items / top))
    )  # fmt: skip
    promise = LEFT + edges.index(target) * step
    names = [format_age(edge).replace(" min", "m").replace(" ", "") for edge in edges]
    axis = tuple(Label(LEFT + number * step, floor + 18, name) for number, name in enumerate(names))
    description = f"{latency.kept} of {latency.items} sign-ups took less than {target} s."
    labels, lines = scale(top, PLOT_HEIGHT - 12)
    limit = ChartLine(promise, TOP, promise, floor, "limit")
    name = Label(promise + 4, TOP + 2, f"target: {target} s", "start")
    return Chart(
        "latency", "From sign-up to completed", description, floor + BOTTOM, marks, (*labels, *axis, name),
        (*lines, limit),
    )  # fmt: skip


def bin_name(number: int, edges: Sequence[int]) -> str:
    """Return the range of a bin of the latency in words."""
    if number + 1 == len(edges):
        return f"{format_age(edges[number])} and more"
    return f"{format_age(edges[number])} to {format_age(edges[number + 1])}"
