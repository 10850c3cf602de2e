"""`bubble-sync diff`: the changes that `pulumi up` would make in the database."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.options import ConfigFile, Json, StackName, resolve_stack
from bubble_sync.cli.output import print_coloured, print_document, print_file, print_markdown, progress
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.compare.diff import Comparison
    from bubble_sync.config.stacks import Stack
    from bubble_sync.database.snapshot import Snapshot


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
    comparison, snapshot = compare_stack(resolve_stack(stack, config_file))
    if as_undo:
        from bubble_sync.compare.sql_script import back, holds_a_key

        script = back(comparison, snapshot)
        if holds_a_key(script):
            progress("warning: a function or a job of today has a key written into it: keep this text private")
        print_file(script)
    elif as_sql:
        from bubble_sync.compare.sql_script import forward

        print_file(forward(comparison))
    else:
        _show(comparison, as_json=as_json, as_markdown=as_markdown)
    raise typer.Exit(code_of(comparison.clean))


def _show(comparison: Comparison, *, as_json: bool, as_markdown: bool) -> None:
    from bubble_sync.cli.render.diff import comparison_document, comparison_markdown, comparison_text

    if as_json:
        print_document(comparison_document(comparison))
    elif as_markdown:
        print_markdown(comparison_markdown(comparison))
    else:
        print_coloured(comparison_text(comparison))


def compare_stack(opened: Stack) -> tuple[Comparison, Snapshot]:
    """Compare a stack's settings with its database."""
    # Imported here: other commands need no database driver.
    from bubble_sync.compare import diff as question
    from bubble_sync.database.database import Database
    from bubble_sync.model.setup import desired_state
    from bubble_sync.specs import Owner

    settings = opened.settings()
    specs = desired_state(settings, Owner(opened.name, settings.project(opened.environment) or ""))
    with closing(Database(settings.address(opened.environment), settings.names)) as database:
        snapshot = question.find(database, specs)
    return question.diff(opened.name, specs, snapshot, adopt=settings.adopt != "never"), snapshot
