"""`bubble-sync requeue` and `bubble-sync release-stalled`: show the items, ask, put the items back."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import NO, code_of
from bubble_sync.cli.options import ConfigFile, Json, StackName, Yes, confirm, duration
from bubble_sync.cli.output import StackContext, open_stack, print_document, print_unknown, progress, screen, table
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.actions.requeue import Batch, Plan, RequeueItem, Skipped

_NEXT = "`bubble-sync trace ID` shows where an item that was left alone stands"
_SHOWN = 20
"""Items shown per kind; `--json` lists all."""


def requeue(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of items.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All failed items with no attempt left.")] = False,
    stack: StackName = None,
    config_file: ConfigFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put failed items back in the queue, after a confirmation. Exit 0 when every item was put back, 1 otherwise."""
    from bubble_sync.actions.requeue import requeue_plan

    if dead == bool(ids):
        raise ConfigurationError("pass ids of items, or --dead")
    with open_stack(stack, config_file) as context:
        plan = requeue_plan(context.database, None if dead else ids)
        _go_on(context, plan, "no item is dead", yes=yes, as_json=as_json)


def release_stalled(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Minimum age of an item, as in 90s, 2h.")
    ] = None,
    stack: StackName = None,
    config_file: ConfigFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put stalled items back in the queue, after a confirmation; items with an open request are skipped.

    Exit 0 when each one was put back, 1 otherwise.
    """
    from bubble_sync.actions.requeue import release_plan

    age = None if older_than is None else duration("--older-than", older_than, "1m", "3650d")
    with open_stack(stack, config_file) as context:
        plan = release_plan(context.database, age)
        _go_on(context, plan, "no item is stalled", yes=yes, as_json=as_json)


def _go_on(context: StackContext, plan: Plan, nothing: str, *, yes: bool, as_json: bool) -> None:
    from bubble_sync.actions.requeue import carry_out

    out = screen()
    if not as_json:
        _show_plan(plan, out)
    if plan.items and not confirm(f"put {_count(plan.items)} back?", yes=yes, as_json=as_json):
        progress("nothing was changed")
        raise typer.Exit(NO)
    done = carry_out(context.database, plan)
    skipped = (*plan.skipped, *done.skipped)
    step = _NEXT if skipped else ""
    if as_json:
        result = asdict(replace(done, skipped=skipped))
        print_document({"stack": context.name, "plan": asdict(plan), **result, "next": step})
        raise typer.Exit(code_of(not skipped))
    if plan.items:
        out.print(f"{_count(len(done.changed))} put back", style="green" if done.changed else "red")
        _show_skipped(done.skipped, out)
    elif not skipped:
        out.print(nothing, style="green")
    if step:
        out.print(f"next: {step}")
    raise typer.Exit(code_of(not skipped))


def _show_plan(plan: Plan, out: Console) -> None:
    from bubble_sync.actions.requeue import MOST

    for batch in plan.batches:
        _show_batch(batch, out)
    if plan.items == MOST:
        out.print(f"the oldest {MOST}: run again for the others")
    _show_skipped(plan.skipped, out)
    print_unknown(plan.unknown, out)


def _show_batch(batch: Batch, out: Console) -> None:
    for (operation, error), alike in groupby(sorted(batch.items[:_SHOWN], key=_kind), _kind):
        out.print(f"{operation}: {error}", style="bold")
        items = table("item", "record", ">try")
        for item in alike:
            items.add_row(item.id, item.record_id, f"{item.retry_count}/{item.max_retries}")
        out.print(items)
    if len(batch.items) > _SHOWN:
        out.print(f"... and {len(batch.items) - _SHOWN} more")
    out.print("changes:")
    effects = table("", "")
    effects.show_header = False
    for column, text in batch.transition.becomes.items():
        effects.add_row(f"  {column}", text)
    out.print(effects)
    out.print(f"then: {batch.transition.then}", "", sep="\n")


def _kind(item: RequeueItem) -> tuple[str, str]:
    return item.operation or "no operation", item.error or "no error message"


def _show_skipped(skipped: tuple[Skipped, ...], out: Console) -> None:
    for one in skipped[:_SHOWN]:
        out.print(f"left alone: {one.id}: {one.why}", style="yellow")
    if len(skipped) > _SHOWN:
        out.print(f"... and {len(skipped) - _SHOWN} more", style="yellow")


def _count(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"
