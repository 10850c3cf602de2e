"""`bubble-sync report`: one HTML page about a span of time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bubble_sync.cli.all_stacks import ask_every_stack, code_of_all, print_table
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import AllStacks, ConfigFile, DatabaseUrlEnv, StackName, duration, require_no_choice
from bubble_sync.cli.output import StackContext, print_text, write_atomically

HtmlOption = Annotated[
    Path, typer.Option("--html", metavar="FILE", help="File to write; an existing file is replaced.")
]
SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 30m, 24h, 7d; at most 30d.")]


def report(
    html: HtmlOption,
    since: SinceOption = "24h",
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    all_stacks: AllStacks = False,
) -> None:
    """Write an HTML page with checklist, findings, charts and failures; exit 0 when the file is written.

    With --all-stacks, each stack gets its own file, FILE.<stack>.html for FILE.html.
    """
    span = duration("--since", since, "1m", "30d")
    if all_stacks:
        require_no_choice(stack, config_file, database_url_env)
        _write_all(html, span)
    with open_either(stack, config_file, database_url_env) as context:
        write_report(context, html, span)
    print_text(str(html))


def _write_all(html: Path, span: timedelta) -> NoReturn:
    def write(context: StackContext) -> Path:
        file = html.with_name(f"{html.stem}.{context.name}{html.suffix}")
        write_report(context, file, span)
        return file

    answers = ask_every_stack(write)
    print_table([(one, one.failure is None, str(one.answer)) for one in answers])
    raise typer.Exit(code_of_all(answers))


def write_report(context: StackContext, file: Path, span: timedelta) -> None:
    """Read the stack and render the page."""
    from bubble_sync.cli.render.report_page import page
    from bubble_sync.health import report as question

    found = question.report(context.database, context.settings, context.name, context.project_ref, span)
    write_atomically(file, page(found))
