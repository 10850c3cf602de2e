"""A report of drift as JSON: a shape that other programs may rely on.

::

    {"stack": "prod", "status": "drift", "cause": "", "liveness": {"verdict": "likely", "text": "the last run ..."},
     "findings": [{"object": "job bubble-sync-retry", "field": "schedule", "actual": "0 0 * * *",
                   "wanted": "*/5 * * * *", "since": {"at": "2026-11-22T02:53:09+00:00", "exact": false}, "reason": "",
                   "repair": "pulumi up --stack prod", "accept": ["pulumi config set --path ..."],
                   "cannot_accept": ""}], "next": "`pulumi up --stack prod` ...", "error": null}

With `--all-stacks` these stand in a list under `stacks`. Statuses: clean, drift, never up, configuration,
unreachable; of the last two `cause` says why, and `error` in the shape that every command has. Of a secret value a
finding says `"secret": "differs"` or `"unreadable"`, and no value. An object that is not there lacks the field
`presence`. `since` and `liveness` are null when nothing is known; `reason` says why `up` refuses to repair it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bubble_sync.cli.exit_codes import MISUSED, UNREACHABLE, CommandFailure
from bubble_sync.compare.drift import DriftFinding, DriftReport, StackStatus


def report_documents(reports: Sequence[DriftReport]) -> dict[str, object]:
    """Return the output of `--all-stacks --json`."""
    return {"stacks": [report_document(report) for report in reports]}


def report_document(report: DriftReport) -> dict[str, object]:
    """Return the output of `--json` for one stack."""
    liveness = report.liveness
    return {
        "stack": report.stack,
        "status": report.status.value,
        "cause": report.cause,
        "liveness": {"verdict": liveness.verdict.value, "text": liveness.text} if liveness else None,
        "findings": [_finding(finding) for finding in report.findings],
        "next": report.next,
        "error": _error(report),
    }


def _error(report: DriftReport) -> dict[str, object] | None:
    """Return an unreadable stack as the failure of a single-stack command."""
    if not report.cause:
        return None
    code = UNREACHABLE if report.status is StackStatus.UNREACHABLE else MISUSED
    return CommandFailure(code, report.status.value, report.cause)._asdict()


def _finding(finding: DriftFinding) -> dict[str, object]:
    change, since = finding.change, finding.since
    values = {"secret": change.secret} if change.secret else {"actual": change.actual, "wanted": change.wanted}
    return {
        "object": finding.object_name,
        "field": change.field,
        **values,
        "since": {"at": since.at.isoformat(), "exact": since.exact} if since else None,
        "reason": finding.reason,
        "repair": finding.repair,
        "accept": list(finding.accept.commands),
        "cannot_accept": finding.accept.impossible,
    }
