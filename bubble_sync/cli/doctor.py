"""`bubble-sync doctor`: known problems of the sync, with their remedies."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from bubble_sync.cli.all_stacks import Question, ask
from bubble_sync.cli.options import AllStacks, ConfigFile, DatabaseUrlEnv, Json, StackName, step
from bubble_sync.cli.output import StackContext
from bubble_sync.formatting import format_time

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.doctor import Diagnosis, Finding

STYLE = {"error": "red", "warning": "yellow", "info": "dim"}


def doctor(
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> None:
    """Check for every known problem; exit 0 when no problem was found and every check ran, 1 otherwise."""
    ask(DIAGNOSIS, stack, config_file, database_url_env, all_stacks=all_stacks, as_json=as_json)


def _read(context: StackContext) -> Diagnosis:
    from bubble_sync.health import doctor as question

    return question.doctor(context.database, context.settings, context.name)


def _line(found: Diagnosis) -> str:
    named = [f"{one.object} [{one.id}]" for one in found.causes if one.level != "info"]
    return f"{_summary(found)}{': ' if named else ''}{', '.join(named)}"


def _show(found: Diagnosis, out: Console) -> None:
    out.print(f"stack {found.stack}, {format_time(found.asked_at)} UTC", style="bold")
    for finding in found.causes:
        out.print(f"\n{finding.level}: {finding.title} [{finding.id}]", style=STYLE[finding.level])
        _indented(f"{finding.object}: {finding.evidence}", out)
        _indented(step("do", finding.remedy), out)
    following: dict[str, list[Finding]] = defaultdict(list)
    for finding in found.findings:
        if finding.follows:
            following[", ".join(finding.follows)].append(finding)
    for causes, findings in following.items():
        out.print(f"\nfollows from {causes}", style="dim")
        for finding in findings:
            _indented(f"{finding.id}: {finding.object}: {finding.evidence}", out)
    reasons: dict[str, list[str]] = defaultdict(list)
    for check, why in found.unknown.items():
        reasons[why].append(check)
    for why, asked in reasons.items():
        out.print(f"\nunknown: {why}", style="yellow")
        _indented(f"not checked: {', '.join(asked)}", out)
    out.print(f"\n{_summary(found)}", style="green" if found.clean else None)


def _next(found: Diagnosis) -> str:
    """Return the next step: the first finding blocks the most."""
    if found.clean:
        return ""
    if all(finding.level == "info" for finding in found.causes):
        return "connect as a role that may read the unknown parts"
    return "apply the first remedy, then run `bubble-sync doctor` again"


def _indented(text: str, out: Console) -> None:
    from rich.padding import Padding

    out.print(Padding(text, (0, 0, 0, 2), expand=False))


def _summary(found: Diagnosis) -> str:
    levels = Counter(finding.level for finding in found.causes)
    words = ((levels["error"], "errors"), (levels["warning"], "warnings"), (levels["info"], "info"))
    counts = [f"{number} {word.removesuffix('s') if number == 1 else word}" for number, word in words if number]
    if following := len(found.findings) - len(found.causes):
        counts.append(f"{following} following")
    if found.unknown:
        counts.append(f"{len(found.unknown)} unknown")
    return f"{found.checked} checks: {', '.join(counts) or 'no problem found'}"


DIAGNOSIS = Question(
    read=_read,
    show=_show,
    line=_line,
    next=_next,
    more=lambda found: {"clean": found.clean},
    good=lambda found: found.clean,
)
