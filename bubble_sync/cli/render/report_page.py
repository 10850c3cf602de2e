"""The report as one HTML page, rendered through the escaping template `pages/report.html`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bubble_sync.cli.render.charts import WIDTH, bin_name, depth_chart, latency_chart, request_chart
from bubble_sync.cli.render.html import render
from bubble_sync.health.doctor import Finding
from bubble_sync.health.report import Report


class Headline(NamedTuple):
    """The head of the page."""

    good: bool
    text: str


class Cause(NamedTuple):
    """A finding without a cause of its own, and the findings that follow from it."""

    finding: Finding
    followers: tuple[Finding, ...]


@dataclass(frozen=True)
class Served:
    """What a page that refreshes itself says about its reading."""

    every_seconds: float
    read_at: datetime | None = None
    age_seconds: float = 0.0
    outage: str = ""
    outage_since: datetime | None = None


def page(report: Report, served: Served | None = None) -> str:
    """Render the page: as a file, or as `serve` shows it."""
    past = report.history
    return render(
        "report.html",
        served=served is not None,
        stack=report.stack,
        reading=served,
        report=report,
        past=past,
        verdict=headline_of(report),
        causes=causes_of(report.diagnosis.findings),
        depth=depth_chart(past.depths, past) if past.depths is not None else None,
        requests=request_chart(past.sent, past) if past.sent is not None else None,
        latency=latency_chart(past.latency) if past.latency is not None else None,
        bin_name=bin_name,
        width=WIDTH,
    )


def headline_of(report: Report) -> Headline:
    """Return the number of problems in words."""
    counts = {
        "cause of trouble": sum(finding.level != "info" for finding in report.diagnosis.causes),
        "check without an answer": len(report.diagnosis.unknown),
        "line of the checklist not fulfilled": sum(line.status == "no" for line in report.checklist),
        "line of it unknown or not proven": sum(line.status not in ("ok", "no") for line in report.checklist),
    }
    problems = [
        f"{number} {what.replace(' ', 's ', 1) if number > 1 else what}" for what, number in counts.items() if number
    ]
    return Headline(not problems, "; ".join(problems) or "Everything was seen, and nothing is wrong now.")


def causes_of(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """Put every finding under its first cause; one whose cause is not listed, or in a circle, is a cause."""
    by_id: dict[str, Finding] = {}
    for finding in findings:
        by_id.setdefault(finding.id, finding)
    roots = [_root(finding, by_id) for finding in findings]
    return tuple(
        Cause(
            cause, tuple(one for one, root in zip(findings, roots, strict=True) if root is cause and one is not cause)
        )
        for cause, own in zip(findings, roots, strict=True)
        if own is cause
    )


def _root(finding: Finding, by_id: dict[str, Finding]) -> Finding:
    seen = [finding]
    while cause := next((by_id[one] for one in seen[-1].follows if one in by_id), None):
        if cause in seen:
            return seen[0]
        seen.append(cause)
    return seen[-1]
