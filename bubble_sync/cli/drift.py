"""`bubble-sync drift`: manual changes in one converged stack or in all stacks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import MISUSED, NO, UNREACHABLE, YES
from bubble_sync.cli.options import ConfigFile, Json, StackName, the_stack, typed
from bubble_sync.cli.output import print_document
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.compare.drift import Report

_COLOURS = {"~": "yellow", "!": "red"}
_NOT_LOOKED_AT = "local"


def drift(
    context: typer.Context,
    stack: StackName = None,
    config_file: ConfigFile = None,
    all_stacks: Annotated[bool, typer.Option("--all-stacks", help="Every Pulumi.<stack>.yaml except local's.")] = False,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a text for an issue.")] = False,
) -> None:
    """Show manual changes, their time, and how to repair or accept each one. Changes nothing.

    Exit 0 clean, 1 drift, 2 a configuration cannot be used, 3 a stack cannot be read.
    """
    if as_json and as_markdown:
        raise ConfigurationError("--json and --markdown are two ways to print it: choose one")
    if all_stacks and (typed(context, "stack") or config_file is not None):
        raise ConfigurationError("--all-stacks looks at every stack: leave out --stack and --config-file")
    reports = _reports(stack, config_file, all_stacks=all_stacks)
    if as_json:
        from bubble_sync.cli.render.drift_json import document, documents

        shown = documents(reports) if all_stacks else document(reports[0])
        print_document(shown)
    elif as_markdown:
        from bubble_sync.cli.render.drift_markdown import markdown

        typer.echo("\n".join(markdown(reports)))
    else:
        _show_text(reports, table=all_stacks)
    raise typer.Exit(exit_code(reports))


def exit_code(reports: Sequence[Report]) -> int:
    """Return the code of the worst report: unreadable stacks first."""
    from bubble_sync.compare.drift import Standing

    standings = {report.standing for report in reports}
    if Standing.UNREACHABLE in standings:
        return UNREACHABLE
    # Report drift despite another stack's configuration error: a stray file must not hide drift.
    if standings <= {Standing.CLEAN, Standing.CONFIGURATION}:
        return MISUSED if Standing.CONFIGURATION in standings else YES
    return NO


def _reports(stack: str | None, config_file: Path | None, *, all_stacks: bool) -> list[Report]:
    # Imported here: other commands need no database driver.
    from bubble_sync.compare.all_stacks import ask, ask_all
    from bubble_sync.config import stacks

    if all_stacks:
        return ask_all(stacks.all_stacks(Path.cwd(), os.environ, _NOT_LOOKED_AT))
    return [ask(the_stack(stack, config_file))]


def _show_text(reports: Sequence[Report], *, table: bool) -> None:
    from bubble_sync.cli.render.drift_text import line, text
    from bubble_sync.compare.drift import Standing

    if table:
        width = max(len(report.stack) for report in reports)
        for report in reports:
            typer.echo(f"{report.stack:<{width}}  {line(report)}")
    for report in reports:
        if report.cause and not table:
            typer.echo(f"error: {report.cause}", err=True)
        elif not table or report.standing is not Standing.CLEAN:
            for one in text(report):
                typer.secho(one, fg=_COLOURS.get(one[:1]))
