"""`bubble-sync failures`: the newest failed items, by error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import ConfigFile, DatabaseUrlEnv, Details, Json, StackName
from bubble_sync.cli.output import print_answer, print_unknown, table
from bubble_sync.formatting import format_time

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.failures import FailedItem, Failures

_DEFAULT = 10
_WIDE = 125
_COLUMNS = ("created (UTC)", ">attempts", "next try (UTC)")


def failures(
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many of the newest.")] = _DEFAULT,
    details: Details = False,
) -> None:
    """Show the newest failed items, grouped by error; exit 0 when there is none, 1 otherwise."""
    from bubble_sync.health import failures as question

    with open_either(stack, config_file, database_url_env, needs_settings=False) as context:
        found = question.failures(context.database, context.name, context.project_ref, limit, details=details)
    print_answer(found, _show, next=_next(found), as_json=as_json)
    raise typer.Exit(code_of(not (found.items or found.unknown)))


def _show(found: Failures, out: Console) -> None:
    print_unknown(found.unknown, out)
    if not found.groups and not found.unknown:
        out.print("no item is failed", style="green")
    for group in found.groups:
        out.print(f"{group.count} x {group.operation}: {group.error}", style="red")
        if not group.items:
            continue
        # One column for both ids: two columns would fold on most terminals, and folded ids cannot be copied.
        wide = out.width >= _WIDE
        items = table(*(("item", "record") if wide else ("item, and its record",)), *_COLUMNS)
        for item in group.items:
            attempts = f"{item.retry_count}/{item.max_retries}"
            ids = (item.id, item.record_id) if wide else (f"{item.id}\n  {item.record_id}",)
            items.add_row(*ids, format_time(item.created_at), attempts, next_try(item))
        out.print(items)
        for item in group.items:
            for name, text in item.details.items():
                out.print(f"{item.id} {name}: {text}")
        out.print()
    if found.total > found.items:
        out.print(f"{found.total} failed items; these are the newest {found.items}, more with --limit")
    if found.total > found.counted:
        out.print(f"the groups count the newest {found.counted}")
    if found.groups and found.function_log:
        out.print(f"the function's log: {found.function_log}")


def _next(found: Failures) -> str:
    if found.unknown:
        return "`bubble-sync doctor`"
    if any(item.dead for group in found.groups for item in group.items):
        return "fix the cause, then run `bubble-sync requeue --dead`"
    return "`bubble-sync doctor`; the retry job takes the items again" if found.groups else ""


def next_try(item: FailedItem) -> str:
    """Return the time of an item's next attempt in words."""
    if item.dead:
        return "none: dead"
    return format_time(item.next_retry_at) or "retry's next"
