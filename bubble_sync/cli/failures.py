"""`bubble-sync failures`: which items failed lately, by error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.answers import asking, clock, print_json, screen, table
from bubble_sync.cli.arguments import ConfigFile, Json, StackName

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.questions.failures import Failure, Failures

_DEFAULT = 10


def failures(
    stack: StackName = None,
    config_file: ConfigFile = None,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many of the newest.")] = _DEFAULT,
) -> None:
    """Show the newest failed items, grouped by error; exit 0 when there is none, 1 otherwise."""
    from bubble_sync.questions import failures as question

    with asking(stack, config_file) as asked:
        found = question.failures(asked.database, asked.name, asked.project_ref, limit)
    if as_json:
        print_json(found)
    else:
        _show(found, screen())
    raise typer.Exit(1 if found.items or found.unknown else 0)


def _show(found: Failures, out: Console) -> None:
    for what, why in found.unknown.items():
        out.print(f"unknown: {what}: {why}", style="yellow")
    if not found.groups and not found.unknown:
        out.print("no item stands at failed", style="green")
    for group in found.groups:
        out.print(f"{len(group.items)} x {group.operation}: {group.error}", style="red")
        items = table("item", "created (UTC)", ">attempts", "next try (UTC)")
        for item in group.items:
            attempts = f"{item.retry_count}/{item.max_retries}"
            items.add_row(item.id, clock(item.created_at), attempts, next_try(item))
        out.print(items, "", sep="\n")
    if found.items == found.most:
        out.print(f"the newest {found.most}; more with --limit")
    if found.groups and found.function_log:
        out.print(f"the function's log: {found.function_log}")


def next_try(item: Failure) -> str:
    """Say when an item is tried again."""
    if item.dead:
        return "none: dead"
    return clock(item.next_retry_at) or "retry's next"
