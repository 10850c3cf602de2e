"""`bubble-sync requeue`, `discard` and `release-stalled`: show the items, ask, change them."""

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

    from bubble_sync.actions.requeue import Batch, Filters, Plan, RequeueItem, Skipped

_NEXT = "`bubble-sync trace ID` shows the state of a skipped item"
_PUT_BACK, _DISCARD = ("put {} back?", "put back"), ("discard {}?", "discarded")
_SHOWN = 20
"""Items shown per kind; `--json` lists all."""


_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of items.")]
_Dead = Annotated[bool, typer.Option("--dead", help="Failed items with no attempt left.")]
_Error = Annotated[
    str | None, typer.Option("--error", metavar="PATTERN", help="Failed items with this text in the error; * is any.")
]
_Operation = Annotated[str | None, typer.Option("--operation", metavar="OP", help="Failed items of this operation.")]
_Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Failed items queued within this time, as in 90s, 2h.")
]
_Limit = Annotated[int | None, typer.Option("--limit", min=1, max=10_000, help="The oldest of these only.")]


def requeue(  # noqa: PLR0913 - each option is a parameter
    ids: _Ids = None,
    dead: _Dead = False,
    error: _Error = None,
    operation: _Operation = None,
    since: _Since = None,
    limit: _Limit = None,
    stack: StackName = None,
    config_file: ConfigFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put failed items back in the queue, after a confirmation. Exit 0 when every item was put back, 1 otherwise.

    By id, a discarded item is put back too.
    """
    from bubble_sync.actions.requeue import requeue_plan

    filters = _filters(ids, dead, error, operation, since, limit)
    with open_stack(stack, config_file) as context:
        plan = requeue_plan(context.database, ids or None, filters)
        _go_on(context, plan, _nothing(filters), _PUT_BACK, yes=yes, as_json=as_json)


def discard(  # noqa: PLR0913 - each option is a parameter
    ids: _Ids = None,
    dead: _Dead = False,
    error: _Error = None,
    operation: _Operation = None,
    since: _Since = None,
    limit: _Limit = None,
    stack: StackName = None,
    config_file: ConfigFile = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Set failed items to skipped, after a confirmation: no run takes them any more. `requeue ID` undoes it.

    Exit 0 when every item was discarded, 1 otherwise.
    """
    from bubble_sync.actions.requeue import discard_plan

    filters = _filters(ids, dead, error, operation, since, limit)
    with open_stack(stack, config_file) as context:
        plan = discard_plan(context.database, ids or None, filters)
        _go_on(context, plan, _nothing(filters), _DISCARD, yes=yes, as_json=as_json)


def _filters(
    ids: list[str] | None, dead: bool, error: str | None, operation: str | None, since: str | None, limit: int | None
) -> Filters:
    from bubble_sync.actions.requeue import Filters

    filtered = dead or any(one is not None for one in (error, operation, since))
    if bool(ids) == filtered or (ids and limit is not None):
        raise ConfigurationError("pass ids of items, or what selects them: --dead, --error, --operation, --since")
    # A variable that is not set must not select every item.
    for option, text in (("--error", error), ("--operation", operation)):
        if text is not None and not text.strip():
            raise ConfigurationError(f"{option} is empty: name a text, or leave {option} out")
    within = None if since is None else duration("--since", since, "1s", "3650d")
    return Filters(dead=dead, error=error, operation=operation, since=within, limit=limit)


def _nothing(filters: Filters) -> str:
    only_dead = filters.dead and not (filters.error or filters.operation or filters.since)
    return "no item is dead" if only_dead else "no item matches"


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
        _go_on(context, plan, "no item is stalled", _PUT_BACK, yes=yes, as_json=as_json)


def _go_on(
    context: StackContext, plan: Plan, nothing: str, words: tuple[str, str], *, yes: bool, as_json: bool
) -> None:
    question, outcome = words
    from bubble_sync.actions.requeue import carry_out

    out = screen()
    if not as_json:
        _show_plan(plan, out)
    if plan.items and not confirm(question.format(_count(plan.items)), yes=yes, as_json=as_json):
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
        out.print(f"{_count(len(done.changed))} {outcome}", style="green" if done.changed else "red")
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
