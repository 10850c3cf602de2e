"""`bubble-sync drift`: manual changes in one converged stack or in all stacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.all_stacks import of_every_stack
from bubble_sync.cli.exit_codes import MISUSED, NO, UNREACHABLE, YES, worst
from bubble_sync.cli.options import AllStacks, ConfigFile, Json, StackName, require_no_choice, resolve_stack
from bubble_sync.cli.output import print_coloured, print_document, print_markdown, progress
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.compare.drift import DriftReport


def drift(
    stack: StackName = None,
    config_file: ConfigFile = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a text for an issue.")] = False,
) -> None:
    """Show manual changes, their time, and how to repair or accept each one. Changes nothing.

    Exit 0 clean, 1 drift, 2 a configuration cannot be used, 3 a stack cannot be read.
    """
    if as_json and as_markdown:
        raise ConfigurationError("--json and --markdown exclude each other: choose one")
    reports = _reports(stack, config_file, all_stacks=all_stacks)
    from bubble_sync.cli.render.drift import report_document, reports_markdown

    if as_json:
        documents = [report_document(report) for report in reports]
        print_document({"stacks": documents} if all_stacks else documents[0])
    elif as_markdown:
        print_markdown(reports_markdown(reports))
    else:
        _show_text(reports, table=all_stacks)
    raise typer.Exit(exit_code(reports))


def exit_code(reports: Sequence[DriftReport]) -> int:
    """Return the code of the worst report."""
    from bubble_sync.compare.drift import StackStatus

    codes = {StackStatus.CLEAN: YES, StackStatus.CONFIGURATION: MISUSED, StackStatus.UNREACHABLE: UNREACHABLE}
    return worst(codes.get(report.status, NO) for report in reports)


def _reports(stack: str | None, config_file: Path | None, *, all_stacks: bool) -> list[DriftReport]:
    # Imported here: other commands need no database driver.
    from bubble_sync.compare.drift import check_stack

    if all_stacks:
        require_no_choice(stack, config_file)
        return check_all()
    return [check_stack(resolve_stack(stack, config_file))]


def check_all() -> list[DriftReport]:
    """Check every stack but `local`."""
    from bubble_sync.compare.drift import check_stack

    return of_every_stack(check_stack)


def _show_text(reports: Sequence[DriftReport], *, table: bool) -> None:
    from bubble_sync.cli.render.drift import report_line, report_text
    from bubble_sync.compare.drift import StackStatus

    if table:
        width = max(len(report.stack) for report in reports)
        for report in reports:
            print_coloured([f"{report.stack:<{width}}  {report_line(report)}"])
    for report in reports:
        if report.cause and not table:
            progress(f"error: {report.cause}")
        elif not table or report.status is not StackStatus.CLEAN:
            print_coloured(report_text(report))
