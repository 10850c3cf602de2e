"""`bubble-sync requeue` and `bubble-sync release-stalled`: show the items, ask, put the items back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import NO, code_of
from bubble_sync.cli.options import ConfigFile, Json, StackName, Yes, completed, consent, duration
from bubble_sync.cli.output import Asked, asking, next_step, print_json, screen, table
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.actions.requeue import Done, Item, Move, Passed, Plan

_NEXT = "`bubble-sync trace ID` shows where an item that was left alone stands"
_SHOWN = 20
"""Items shown per kind; `--json` lists all."""


@dataclass(frozen=True)
class Answer:
    """The result of the command."""

    stack: str
    plan: Plan
    changed: tuple[str, ...]
    passed: tuple[Passed, ...]


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
    with asking(stack, config_file) as asked:
        plan = requeue_plan(asked.database, None if dead else ids)
        _go_on(asked, plan, "no item is dead", yes=yes, as_json=as_json)


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
    with asking(stack, config_file) as asked:
        plan = release_plan(asked.database, age)
        _go_on(asked, plan, "no item is stalled", yes=yes, as_json=as_json)


def _go_on(asked: Asked, plan: Plan, nothing: str, *, yes: bool, as_json: bool) -> None:
    from bubble_sync.actions.requeue import carry_out

    out = screen()
    if not as_json:
        _show_plan(plan, out)
    if plan.items and not consent(f"put {_count(plan.items)} back?", yes=yes, as_json=as_json):
        typer.echo("nothing was changed", err=True)
        raise typer.Exit(NO)
    done = carry_out(asked.database, plan)
    if as_json:
        passed = (*plan.passed, *done.passed)
        print_json(Answer(asked.name, plan, done.changed, passed), next=_NEXT if passed else "")
    elif plan.items:
        _show_done(done, out)
    elif not plan.passed:
        out.print(nothing, style="green")
    if not as_json and (plan.passed or done.passed):
        out.print(next_step(_NEXT))
    raise typer.Exit(code_of(not (plan.passed or done.passed)))


def _show_plan(plan: Plan, out: Console) -> None:
    from bubble_sync.actions.requeue import MOST

    for move in plan.moves:
        _show_move(move, out)
    if plan.items == MOST:
        out.print(f"the oldest {MOST}: run again for the others")
    _show_passed(plan.passed, out)
    for what, why in plan.unknown.items():
        out.print(completed(f"unknown: {what}: {why}"), style="yellow")


def _show_move(move: Move, out: Console) -> None:
    for (operation, error), alike in groupby(sorted(move.items[:_SHOWN], key=_kind), _kind):
        out.print(f"{operation}: {error}", style="bold")
        items = table("item", "record", ">try")
        for item in alike:
            items.add_row(item.id, item.record_id, f"{item.retry_count}/{item.max_retries}")
        out.print(items)
    if len(move.items) > _SHOWN:
        out.print(f"... and {len(move.items) - _SHOWN} more")
    out.print("what is changed:")
    effects = table("", "")
    effects.show_header = False
    for column, text in move.way.becomes.items():
        effects.add_row(f"  {column}", text)
    out.print(effects)
    out.print(completed(f"then: {move.way.then}"), "", sep="\n")


def _kind(item: Item) -> tuple[str, str]:
    return item.operation or "no operation", item.error or "no error message"


def _show_done(done: Done, out: Console) -> None:
    out.print(f"{_count(len(done.changed))} put back", style="green" if done.changed else "red")
    _show_passed(done.passed, out)


def _show_passed(passed: tuple[Passed, ...], out: Console) -> None:
    for one in passed[:_SHOWN]:
        out.print(completed(f"left alone: {one.id}: {one.why}"), style="yellow")
    if len(passed) > _SHOWN:
        out.print(f"... and {len(passed) - _SHOWN} more", style="yellow")


def _count(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"
