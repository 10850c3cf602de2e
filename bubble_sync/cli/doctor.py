"""`bubble-sync doctor`: what is wrong with the sync, and what puts it right."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import typer

from bubble_sync.cli.answers import asking, clock, print_json, screen
from bubble_sync.cli.arguments import ConfigFile, Json, StackName

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.questions.doctor import Diagnosis, Finding

_STYLE = {"error": "red", "warning": "yellow", "info": "dim"}


def doctor(stack: StackName = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """Look for every known cause of trouble; exit 0 when there is none and all was seen, 1 otherwise."""
    from bubble_sync.questions import doctor as question

    with asking(stack, config_file) as asked:
        found = question.doctor(asked.database, asked.settings, asked.name)
    if as_json:
        print_json(found, clean=found.clean)
    else:
        _show(found, screen())
    raise typer.Exit(0 if found.clean else 1)


def _show(found: Diagnosis, out: Console) -> None:
    out.print(f"stack {found.stack}, {clock(found.asked_at)} UTC", style="bold")
    for finding in found.findings:
        _show_finding(finding, out)
    reasons: dict[str, list[str]] = defaultdict(list)
    for check, why in found.unknown.items():
        reasons[why].append(check)
    for why, asked in reasons.items():
        out.print(f"\nunknown: {why}", style="yellow")
        out.print(f"  not answered: {', '.join(asked)}")
    out.print(f"\n{_summary(found)}", style="green" if found.clean else None)


def _show_finding(finding: Finding, out: Console) -> None:
    out.print(f"\n{finding.level}: {finding.title} [{finding.id}]", style=_STYLE[finding.level])
    out.print(f"  {finding.object}: {finding.evidence}")
    if finding.follows:
        out.print(f"  follows from: {', '.join(finding.follows)}")
    else:
        out.print(f"  do: {finding.remedy}")


def _summary(found: Diagnosis) -> str:
    counts = [
        f"{number} {word}"
        for number, word in (
            *((sum(one.level == level for one in found.findings), level) for level in _STYLE),
            (len(found.unknown), "unknown"),
        )
        if number
    ]
    return f"{found.checked} checks: {', '.join(counts) or 'nothing wrong is seen'}"
