"""The report as one HTML page, rendered through the escaping template `pages/report.html`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bubble_sync import __version__
from bubble_sync.cli.failures import next_try
from bubble_sync.cli.options import complete_for_stack
from bubble_sync.cli.render.charts import WIDTH, bin_name, depth_chart, latency_chart, request_chart
from bubble_sync.formatting import format_minute, format_seconds, format_time, format_timestamp
from bubble_sync.health.report import Report
from bubble_sync.printable import printable_lines
from bubble_sync.records.messages import anonymous

_PAGES = Path(__file__).with_name("pages")


class Headline(NamedTuple):
    """The head of the page."""

    good: bool
    text: str


def page(report: Report) -> str:
    """Render the page."""
    environment = Environment(
        loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_shown
    )
    environment.filters |= {
        "px": lambda number: f"{number:.1f}".removesuffix(".0"),
        "minute": format_minute,
        "timestamp": format_timestamp,
        "time": format_time,
        "seconds": format_seconds,
        "next_try": next_try,
    }
    past = report.history
    return environment.get_template("report.html").render(
        report=report,
        past=past,
        verdict=headline_of(report),
        depth=depth_chart(past.depths, past) if past.depths is not None else None,
        requests=request_chart(past.sent, past) if past.sent is not None else None,
        latency=latency_chart(past.latency) if past.latency is not None else None,
        bin_name=bin_name,
        width=WIDTH,
        version=__version__,
    )


def headline_of(report: Report) -> Headline:
    """Return the number of problems in words."""
    counts = {
        "line of the checklist not fulfilled": sum(line.status == "no" for line in report.checklist),
        "line of it unknown or not proven": sum(line.status not in ("ok", "no") for line in report.checklist),
        "cause of trouble": sum(finding.level != "info" for finding in report.diagnosis.causes),
        "check without an answer": len(report.diagnosis.unknown),
    }
    problems = [
        f"{number} {what.replace(' ', 's ', 1) if number > 1 else what}" for what, number in counts.items() if number
    ]
    return Headline(not problems, "; ".join(problems) or "Everything was seen, and nothing is wrong now.")


def _shown(value: object) -> object:
    """Clean every text, redact keys and emails, and complete commands; the template escapes the rest."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return complete_for_stack(anonymous(printable_lines(value)))
