"""`bubble-sync trace`: the steps of one item."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import ConfigFile, DatabaseUrlEnv, Details, Json, StackName
from bubble_sync.cli.output import StackContext, print_answer, print_unknown, table
from bubble_sync.errors import ConfigurationError, NotFound
from bubble_sync.formatting import format_age, format_seconds, format_tenths, format_time

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.trace import Trace


def trace(
    wanted: Annotated[
        str | None, typer.Argument(metavar="EMAIL|ID", help="A person's email, an item's id or a record's.")
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", help="The newest sign-up.")] = False,
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    as_json: Json = False,
    details: Details = False,
) -> None:
    """Follow one item through the sync; exit 0 when the item is completed with its bubble_ids, 1 otherwise."""
    if latest == bool(wanted):
        raise ConfigurationError("name one thing to follow: an email, an id, or --latest")
    with open_either(stack, config_file, database_url_env, needs_settings=False) as context:
        found = read_trace(context, wanted)
    print_trace(found, as_json=as_json, details=details)
    raise typer.Exit(code_of(found.synced))


def read_trace(context: StackContext, wanted: str | None) -> Trace:
    """Read the steps of the item, or of the newest sign-up; raise NotFound."""
    from bubble_sync.health import trace as question

    found = question.trace(context.database, context.settings, context.name, context.project_ref, wanted)
    if found is None:
        raise NotFound(
            f"no item of {wanted} is in the queue: give a person's email, an item's id or a record's, or --latest"
            if wanted
            else "no sign-up is in the queue: sign up a test user in the application, then try again"
        )
    return found


def print_trace(found: Trace, *, as_json: bool = False, details: bool = False) -> None:
    """Print the steps, and the next step for an item that is not synced in time."""
    found = found if details else replace(found, details={})
    print_answer(found, _show, next=next_step(found), as_json=as_json, late=found.late, synced=found.synced)


def _show(found: Trace, out: Console) -> None:
    out.print(f"{found.operation} of record {found.record_id}", style="bold")
    steps = table("step", "at (UTC)", ">after", "")
    for step in found.steps:
        after = "" if step.seconds is None else f"T+{format_tenths(step.seconds)}"
        steps.add_row(step.what, format_time(step.at), after, step.detail)
    for name, value in (found.bubble_ids or {}).items():
        steps.add_row(name.removesuffix("_bubble_id"), "", "", f"bubble_id {value}" if value else "bubble_id is empty")
    out.print(steps)
    if found.error:
        out.print(f"error: {found.error}", style="red")
    for name, text in found.details.items():
        out.print(f"{name}: {text}")
    print_unknown(found.unknown, out)
    out.print(trace_in_words(found), style="green" if found.synced and not found.late else "red")
    if not found.synced and found.function_log:
        out.print(f"the function's log: {found.function_log}")


def next_step(found: Trace) -> str:
    """Return the next step for an item that is not synced in time."""
    if found.status == "failed":
        limited = found.retry_count is not None and found.max_retries is not None
        dead = limited and (found.retry_count or 0) >= (found.max_retries or 0)
        again = f"fix the cause, then run `bubble-sync requeue {found.id}`"
        return again if dead else "`bubble-sync doctor`; the retry job takes the item again"
    if found.synced:
        return "`bubble-sync runs` shows what ran in between" if found.late else ""
    if found.status == "completed":
        return "the function's log: it completed the item without every bubble_id"
    return "`bubble-sync doctor`" if found.late or found.refused else "`bubble-sync trace --latest` in a minute"


def trace_in_words(found: Trace) -> str:
    """Return whether the item is synced, and how long it took."""
    late = "late" if found.late else "on time"
    if found.took_seconds is None and found.status == "completed":
        return "completed at an unknown time"
    if found.took_seconds is None:
        still = "overdue" if found.late else "still in time"
        return f"not synced: {found.status} after {format_age(found.age_seconds)}, {still}; {found.target}"
    took = f"completed after {format_seconds(found.took_seconds)}, {late}; {found.target}"
    empty = ", ".join(name for name, value in (found.bubble_ids or {}).items() if not value)
    return f"{took}; but empty: {empty}" if empty else took
