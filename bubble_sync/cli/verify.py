"""`bubble-sync verify`: the success checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bubble_sync.cli.all_stacks import Question, ask
from bubble_sync.cli.options import AllStacks, ConfigFile, DatabaseUrlEnv, Json, StackName, step
from bubble_sync.cli.output import StackContext, table
from bubble_sync.cli.status import LIVENESS_STYLES
from bubble_sync.formatting import format_time

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.verify import Checklist, ChecklistLine

_STYLES = {"ok": "green", "no": "red", "unknown": "yellow", "not proven": "yellow"}


def verify(
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> None:
    """Check every line of the success checklist; exit 0 when all lines are ok, 1 otherwise."""
    ask(CHECKLIST, stack, config_file, database_url_env, all_stacks=all_stacks, as_json=as_json)


def read_checklist(context: StackContext) -> Checklist:
    """Read the checklist."""
    from bubble_sync.health import verify as question

    return question.verify(context.database, context.settings, context.name, context.project_ref)


def _next(found: Checklist) -> str:
    wrong = _first(found)
    remedy = wrong.remedy if wrong else ""
    return remedy if not remedy or "`" in remedy else f"`{remedy}`"


def _first(found: Checklist) -> ChecklistLine | None:
    """Return the first line that is wrong, or else unknown or not proven: later lines depend on earlier ones."""
    return min((one for one in found.lines if one.status != "ok"), key=lambda one: one.status != "no", default=None)


def _line(found: Checklist) -> str:
    wrong = _first(found)
    first = f"; {wrong.status}: {wrong.title}: {wrong.evidence}" if wrong else ""
    return f"{_summary(found)}{first}"


def _summary(found: Checklist) -> str:
    return f"{sum(one.status == 'ok' for one in found.lines)} of {len(found.lines)} are ok"


def _show(found: Checklist, out: Console) -> None:
    out.print(f"stack {found.stack}, {format_time(found.asked_at)} UTC", style="bold")
    lines = table("", "")
    lines.show_header = False
    for one in found.lines:
        style = _STYLES[one.status]
        lines.add_row(one.status, one.title, style=style)
        lines.add_row("", one.evidence)
        if one.remedy:
            lines.add_row("", step("do", one.remedy), style=style)
    out.print(lines)
    out.print(_summary(found), style="green" if found.clean else "red")
    out.print(f"does the sync work now? {found.liveness}", style=LIVENESS_STYLES[found.liveness.verdict])


CHECKLIST = Question(
    read=read_checklist,
    show=_show,
    line=_line,
    next=_next,
    more=lambda found: {"clean": found.clean},
    good=lambda found: found.clean,
)
