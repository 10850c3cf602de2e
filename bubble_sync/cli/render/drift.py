"""Drift reports as text for a terminal, as the text of an issue and as JSON.

The JSON is a shape that other programs may rely on::

    {"stack": "prod", "status": "drift", "cause": "", "liveness": {"verdict": "likely", "text": "the last run ..."},
     "findings": [{"object": "job bubble-sync-retry", "field": "schedule", "actual": "0 0 * * *",
                   "wanted": "*/5 * * * *", "since": {"at": "2026-11-22T02:53:09+00:00", "exact": false}, "reason": "",
                   "repair": "pulumi up --stack prod", "accept": ["pulumi config set --path ..."],
                   "cannot_accept": ""}], "next": "`pulumi up --stack prod` ...", "error": null}

`--all-stacks` lists the reports under `stacks`. Statuses: clean, drift, never up, configuration, unreachable; the last
two come with a `cause`, and an `error` in the shape of every command. A secret's finding has `"secret": "differs"` or
`"unreadable"` in place of both values. A missing object lacks the field `presence`. `since` and `liveness` are null
when unknown; `reason` says why `up` refuses the repair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from bubble_sync.cli.exit_codes import MISUSED, UNREACHABLE, CommandFailure
from bubble_sync.cli.render.diff import INDENT, escape_markdown, field_lines, folded, values_of
from bubble_sync.compare.drift import DriftFinding, DriftReport, StackStatus
from bubble_sync.formatting import format_timestamp

_NAMED_IN_A_LINE = 3


def report_line(report: DriftReport) -> str:
    """Return the state of a stack in one line."""
    if report.cause:
        return f"{report.status}: {' '.join(report.cause.split())}"
    if report.status is not StackStatus.DRIFT:
        return report.status.value
    named = [f"{one.object_name} ({one.change.field})" for one in report.findings]
    more = f", and {len(named) - _NAMED_IN_A_LINE} more" if len(named) > _NAMED_IN_A_LINE else ""
    return f"{_count(report)}: {', '.join(named[:_NAMED_IN_A_LINE])}{more}"


def report_text(report: DriftReport) -> Iterator[str]:
    """Yield a stack's state, its objects with their fields, and whether the sync works."""
    state = {
        StackStatus.DRIFT: _count(report),
        StackStatus.NEVER_UP: "never up: the ledger holds no object of it",
    }
    yield f"stack {report.stack}: {state.get(report.status) or report_line(report)}"
    for name, found in groupby(report.findings, lambda one: one.object_name):
        findings = list(found)
        yield f"{'!' if findings[0].reason else '~'} {name}"
        yield from (f"{INDENT}{line}" for finding in findings for line in _lines(finding))
        yield from (f"{INDENT}{line}" for line in _repair(findings[0]))
    if report.liveness is not None:
        yield f"does the sync work now? {report.liveness}"
    if report.next:
        yield f"next: {report.next}"


def reports_markdown(reports: Sequence[DriftReport]) -> Iterator[str]:
    """Yield a table of the stacks, then a folded block for each stack that is not clean."""
    clean = sum(report.status is StackStatus.CLEAN for report in reports)
    yield from (f"**bubble-sync drift**, {clean} of {len(reports)} clean", "", "| Stack | |", "|---|---|")
    for report in reports:
        yield f"| {escape_markdown(report.stack)} | {escape_markdown(report_line(report))} |"
    for report in reports:
        if report.status is not StackStatus.CLEAN:
            yield from folded(f"stack {report.stack}", list(report_text(report)), "diff")


def report_document(report: DriftReport) -> dict[str, object]:
    """Return the output of `--json` for one stack; an unreadable one has the failure of a single-stack command."""
    code = UNREACHABLE if report.status is StackStatus.UNREACHABLE else MISUSED
    failure = CommandFailure(code, report.status.value, report.cause) if report.cause else None
    return {
        "stack": report.stack,
        "status": report.status.value,
        "cause": report.cause,
        "liveness": asdict(report.liveness) if report.liveness else None,
        "findings": [_finding(finding) for finding in report.findings],
        "next": report.next,
        "error": failure._asdict() if failure else None,
    }


def _finding(finding: DriftFinding) -> dict[str, object]:
    return {
        "object": finding.object_name,
        "field": finding.change.field,
        **values_of(finding.change),
        "since": asdict(finding.since) if finding.since else None,
        "reason": finding.reason,
        "repair": finding.repair,
        "accept": list(finding.accept.commands),
        "cannot_accept": finding.accept.impossible,
    }


def _count(report: DriftReport) -> str:
    return f"{len(report.findings)} finding{'' if len(report.findings) == 1 else 's'}"


def _lines(finding: DriftFinding) -> Iterator[str]:
    yield from field_lines(finding.change)
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
