"""Drift reports as the text of an issue: a table of stacks and folded findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bubble_sync.cli.render.diff_markdown import folded, plain
from bubble_sync.cli.render.drift_text import line, text
from bubble_sync.compare.drift import Report, Standing


def markdown(reports: Sequence[Report]) -> Iterator[str]:
    """Yield the lines."""
    clean = sum(report.standing is Standing.CLEAN for report in reports)
    yield f"**bubble-sync drift**, {clean} of {len(reports)} clean"
    yield ""
    yield "| Stack | |"
    yield "|---|---|"
    for report in reports:
        yield f"| {plain(report.stack)} | {plain(line(report))} |"
    for report in reports:
        if report.standing is not Standing.CLEAN:
            yield from folded(f"stack {report.stack}", text(report), "diff")
