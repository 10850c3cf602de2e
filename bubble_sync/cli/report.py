"""`bubble-sync report`: one HTML page about a span of time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from bubble_sync.cli.options import ConfigFile, StackName, duration
from bubble_sync.cli.output import StackContext, open_stack, print_text, write_atomically

HtmlOption = Annotated[
    Path, typer.Option("--html", metavar="FILE", help="File to write; an existing file is replaced.")
]
SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 30m, 24h, 7d; at most 30d.")]


def report(
    html: HtmlOption, since: SinceOption = "24h", stack: StackName = None, config_file: ConfigFile = None
) -> None:
    """Write an HTML page with checklist, findings, charts and failures; exit 0 when the file is written."""
    span = duration("--since", since, "1m", "30d")
    with open_stack(stack, config_file) as context:
        write_report(context, html, span)
    print_text(str(html))


def write_report(context: StackContext, file: Path, span: timedelta) -> None:
    """Read the stack and render the page."""
    from bubble_sync.cli.render.report_page import page
    from bubble_sync.health import report as question

    found = question.report(context.database, context.settings, context.name, context.project_ref, span)
    write_atomically(file, page(found))
