"""`bubble-sync diff`: the changes that `pulumi up` would make in the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.options import ConfigFile, Json, StackName, resolve_stack
from bubble_sync.cli.output import print_document
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.compare.diff import Comparison
    from bubble_sync.database.snapshot import Snapshot

_COLOURS = {"+": "green", ">": "cyan", "~": "yellow", "!": "red"}


def diff(
    stack: StackName = None,
    config_file: ConfigFile = None,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")] = False,
    as_sql: Annotated[bool, typer.Option("--sql", help="Print the changes as SQL, for the SQL editor.")] = False,
    as_undo: Annotated[bool, typer.Option("--undo-sql", help="Print SQL that restores the current state.")] = False,
) -> None:
    """Show the changes that `pulumi up` would make, object by object. Exit 0 when there are none, 1 otherwise."""
    if as_json + as_markdown + as_sql + as_undo > 1:
        raise ConfigurationError("--json, --markdown, --sql and --undo-sql are four ways to print it: choose one")
    comparison, snapshot = _compare(stack, config_file)
    if as_undo:
        _show_undo(comparison, snapshot)
    elif as_sql:
        from bubble_sync.compare.sql_script import forward

        typer.echo(forward(comparison))
    elif as_json:
        from bubble_sync.cli.render.diff_json import comparison_document

        print_document(comparison_document(comparison))
    elif as_markdown:
        from bubble_sync.cli.render.diff_markdown import comparison_markdown

        typer.echo("\n".join(comparison_markdown(comparison)))
    else:
        _show_text(comparison)
    raise typer.Exit(code_of(comparison.clean))


def _compare(stack: str | None, config_file: Path | None) -> tuple[Comparison, Snapshot]:
    # Imported here: other commands need no database driver.
    from bubble_sync.compare import diff as question
    from bubble_sync.database.database import Database
    from bubble_sync.model.setup import desired_state
    from bubble_sync.specs import Owner

    opened = resolve_stack(stack, config_file)
    settings = opened.settings()
    specs = desired_state(settings, Owner(opened.name, settings.project(opened.environment) or ""))
    database = Database(settings.address(opened.environment))
    try:
        snapshot = question.find(database, specs)
    finally:
        database.close()
    return question.diff(opened.name, specs, snapshot, adopt=settings.adopt != "never"), snapshot


def _show_undo(comparison: Comparison, snapshot: Snapshot) -> None:
    from bubble_sync.compare.sql_script import back, holds_a_key

    script = back(comparison, snapshot)
    if holds_a_key(script):
        typer.echo("warning: a function or a job of today has a key written into it: keep this text private", err=True)
    typer.echo(script)


def _show_text(comparison: Comparison) -> None:
    from bubble_sync.cli.render.diff_text import comparison_text

    for line in comparison_text(comparison):
        typer.secho(line, fg=_COLOURS.get(line[:1]))
