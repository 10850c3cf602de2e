"""`bubble-sync verify`: the success checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.options import ConfigFile, Json, StackName
from bubble_sync.cli.output import StackContext, open_stack, print_answer, table
from bubble_sync.cli.status import LIVENESS_STYLES
from bubble_sync.formatting import format_time

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.verify import Checklist

_STYLES = {"ok": "green", "no": "red", "unknown": "yellow", "not proven": "yellow"}


def verify(stack: StackName = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """Check every line of the success checklist; exit 0 when all lines are ok, 1 otherwise."""
    with open_stack(stack, config_file) as context:
        found = read_checklist(context)
    print_checklist(found, as_json=as_json)
    raise typer.Exit(code_of(found.clean))


def read_checklist(context: StackContext) -> Checklist:
    """Read the checklist."""
    from bubble_sync.health import verify as question

    return question.verify(context.database, context.settings, context.name, context.project_ref)


def print_checklist(found: Checklist, *, as_json: bool = False) -> None:
    """Print the checklist, and the first remedy as the next step."""
    # Later lines depend on earlier ones.
    remedy = next((one.remedy for one in found.lines if one.status != "ok"), "")
    step = remedy if not remedy or "`" in remedy else f"`{remedy}`"
    print_answer(found, _show, next=step, as_json=as_json, clean=found.clean)


def _show(found: Checklist, out: Console) -> None:
    out.print(f"stack {found.stack}, {format_time(found.asked_at)} UTC", style="bold")
    lines = table("", "")
    lines.show_header = False
    for one in found.lines:
        style = _STYLES[one.status]
        lines.add_row(one.status, one.title, style=style)
        lines.add_row("", one.evidence)
        if one.remedy:
            lines.add_row("", f"do: {one.remedy}", style=style)
    out.print(lines)
    good = sum(one.status == "ok" for one in found.lines)
    out.print(f"{good} of {len(found.lines)} are ok", style="green" if found.clean else "red")
    out.print(f"does the sync work now? {found.liveness}", style=LIVENESS_STYLES[found.liveness.verdict])
