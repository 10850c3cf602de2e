"""A report of drift as JSON: a shape that other programs may rely on.

::

    {"stack": "prod", "standing": "drift", "cause": "", "works": {"verdict": "it seems so", "text": "the last run ..."},
     "findings": [{"object": "job bubble-sync-retry", "field": "schedule", "actual": "0 0 * * *",
                   "wanted": "*/5 * * * *", "since": {"at": "2026-11-22T02:53:09+00:00", "exact": false}, "reason": "",
                   "repair": "pulumi up --stack prod", "accept": ["pulumi config set --path ..."],
                   "cannot_accept": ""}], "next": "`pulumi up --stack prod` ...", "error": null}

With `--all-stacks` these stand in a list under `stacks`. Standings: clean, drift, never up, configuration,
unreachable; of the last two `cause` says why, and `error` in the shape that every command has. Of a secret value a
finding says `"secret": "differs"` or `"unreadable"`, and no value. An object that is not there lacks the field
`presence`. `since` and `works` are null when nothing is known; `reason` says why `up` refuses to repair it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bubble_sync.cli.exit_codes import MISUSED, UNREACHABLE, Failure
from bubble_sync.compare.drift import Finding, Report, Standing


def documents(reports: Sequence[Report]) -> dict[str, object]:
    """Return the output of `--all-stacks --json`."""
    return {"stacks": [document(report) for report in reports]}


def document(report: Report) -> dict[str, object]:
    """Return the output of `--json` for one stack."""
    signs = report.signs
    return {
        "stack": report.stack,
        "standing": report.standing.value,
        "cause": report.cause,
        "works": {"verdict": signs.verdict.value, "text": signs.text} if signs else None,
        "findings": [_finding(finding) for finding in report.findings],
        "next": report.next,
        "error": _error(report),
    }


def _error(report: Report) -> dict[str, object] | None:
    """Return an unreadable stack as the failure of a single-stack command."""
    if not report.cause:
        return None
    code = UNREACHABLE if report.standing is Standing.UNREACHABLE else MISUSED
    return Failure(code, report.standing.value, report.cause)._asdict()


def _finding(finding: Finding) -> dict[str, object]:
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
