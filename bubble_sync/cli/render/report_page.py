"""The report as one page of HTML: the figures go through `pages/report.html`, in which everything is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bubble_sync import __version__
from bubble_sync.cli.failures import next_try
from bubble_sync.cli.options import completed
from bubble_sync.cli.output import clock, fine
from bubble_sync.cli.render.charts import WIDTH, bin_name, dated, depth_chart, latency_chart, moment, request_chart
from bubble_sync.health.report import Report
from bubble_sync.model.targets import LIMIT_SECONDS
from bubble_sync.records.messages import anonymous

_PAGES = Path(__file__).with_name("pages")


class Verdict(NamedTuple):
    """What stands on top."""

    good: bool
    text: str


def page(report: Report) -> str:
    """Write the page."""
    environment = Environment(
        loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_shown
    )
    environment.filters |= {
        "px": _px,
        "moment": moment,
        "dated": dated,
        "clock": clock,
        "fine": fine,
        "next_try": next_try,
    }
    past = report.history
    return environment.get_template("report.html").render(
        report=report,
        past=past,
        verdict=verdict_of(report),
        depth=depth_chart(past.depths, past) if past.depths is not None else None,
        requests=request_chart(past.sent, past) if past.sent is not None else None,
        latency=latency_chart(past.latency) if past.latency is not None else None,
        bin_name=bin_name,
        width=WIDTH,
        limit=LIMIT_SECONDS,
        version=__version__,
    )


def verdict_of(report: Report) -> Verdict:
    """Count what is not as it should be."""
    counts = {
        "line of the checklist not fulfilled": sum(line.standing == "no" for line in report.checklist),
        "line of it unknown or not proven": sum(line.standing not in ("ok", "no") for line in report.checklist),
        "cause of trouble": sum(finding.level != "info" for finding in report.diagnosis.causes),
        "check without an answer": len(report.diagnosis.unknown),
    }
    said = [f"{number} {_many(what) if number > 1 else what}" for what, number in counts.items() if number]
    return Verdict(not said, "; ".join(said) or "Everything was seen, and nothing is wrong now.")


def _many(what: str) -> str:
    first, _, rest = what.partition(" ")
    return f"{first}s {rest}"


def _shown(value: object) -> object:
    """Take keys and emails out of every text, which names of objects and remedies hold too, and complete commands."""
    return completed(anonymous(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _px(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
