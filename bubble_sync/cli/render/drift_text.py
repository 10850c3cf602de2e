"""A drift report as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from bubble_sync.cli.render.diff_text import body_diff, field
from bubble_sync.compare.drift import DriftFinding, DriftReport, StackStatus
from bubble_sync.formatting import format_timestamp

_INDENT = "      "
_NAMED_IN_A_LINE = 3


def report_line(report: DriftReport) -> str:
    """Return the state of a stack in one line."""
    if report.cause:
        return f"{report.status}: {' '.join(report.cause.split())}"
    if report.status is not StackStatus.DRIFT:
        return report.status.value
    named = [f"{one.object_name} ({one.change.field})" for one in report.findings]
    more = f", and {len(named) - _NAMED_IN_A_LINE} more" if len(named) > _NAMED_IN_A_LINE else ""
    return f"{counted(len(named))}: {', '.join(named[:_NAMED_IN_A_LINE])}{more}"


def report_text(report: DriftReport) -> Iterator[str]:
    """Yield a stack's state, its objects with their fields, and whether the sync works."""
    if report.status is StackStatus.DRIFT:
        yield f"stack {report.stack}: {counted(len(report.findings))}"
    elif report.status is StackStatus.NEVER_UP:
        yield f"stack {report.stack}: never up: the database remembers no object of it"
    else:
        yield f"stack {report.stack}: {report_line(report)}"
    yield from report_details(report)


def report_details(report: DriftReport) -> Iterator[str]:
    """Yield each object with its fields, and whether the sync works."""
    for name, found in groupby(report.findings, lambda one: one.object_name):
        findings = list(found)
        yield f"{'!' if findings[0].reason else '~'} {name}"
        yield from (f"{_INDENT}{one}" for finding in findings for one in _lines(finding))
        yield from (f"{_INDENT}{one}" for one in _repair(findings[0]))
    if report.liveness is not None:
        yield f"does the sync work now? {report.liveness}"
    if report.next:
        yield f"next: {report.next}"


def counted(number: int) -> str:
    """Return the number of findings in words."""
    return f"{number} finding{'' if number == 1 else 's'}"


def _lines(finding: DriftFinding) -> Iterator[str]:
    if finding.change.field == "body":
        yield "body:"
        yield from body_diff(str(finding.change.actual), str(finding.change.wanted))
    else:
        yield field(finding.change)
    if finding.since is not None:
        yield f"  since   {'' if finding.since.exact else 'later than '}{format_timestamp(finding.since.at)}"
    yield f"  {'accept  ' if finding.accept.commands else ''}{finding.accept}"


def _repair(finding: DriftFinding) -> Iterator[str]:
    if not finding.reason:
        yield f"repair: {finding.repair}"
        return
    first, *others = finding.reason.splitlines()
    yield f"repair: by hand, since `{finding.repair}` refuses it: {first}"
    yield from others
