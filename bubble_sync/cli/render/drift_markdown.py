"""Drift reports as the text of an issue: a table of stacks and folded findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bubble_sync.cli.render.diff_markdown import escape_markdown, folded
from bubble_sync.cli.render.drift_text import report_line, report_text
from bubble_sync.compare.drift import DriftReport, StackStatus


def reports_markdown(reports: Sequence[DriftReport]) -> Iterator[str]:
    """Yield the lines."""
    clean = sum(report.status is StackStatus.CLEAN for report in reports)
    yield f"**bubble-sync drift**, {clean} of {len(reports)} clean"
    yield ""
    yield "| Stack | |"
    yield "|---|---|"
    for report in reports:
        yield f"| {escape_markdown(report.stack)} | {escape_markdown(report_line(report))} |"
    for report in reports:
        if report.status is not StackStatus.CLEAN:
            yield from folded(f"stack {report.stack}", report_text(report), "diff")
