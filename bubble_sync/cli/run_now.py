"""`bubble-sync run-now`: run the processor now and report the result."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import NO, code_of
from bubble_sync.cli.options import ConfigFile, Json, StackName, Yes, confirm
from bubble_sync.cli.output import (
    StackContext,
    open_stack,
    print_answer,
    print_text,
    print_unknown,
    progress,
    screen,
    table,
)
from bubble_sync.formatting import format_age, format_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from bubble_sync.actions.run_now import Notice, Prepared, Ran
    from bubble_sync.records.requests import Request, SentRequest

_PRODUCTION = ("prod", "production")


@dataclass(frozen=True)
class RunOutput:
    """The result of the command."""

    stack: str
    command: str
    jobid: int | None
    notes: tuple[str, ...]
    notices: tuple[Notice, ...]
    outcome: str
    request_ids: tuple[int, ...]
    waited: bool
    requests: tuple[Request, ...]
    before: Mapping[str, int] | None
    after: Mapping[str, int] | None
    unknown: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Return whether requests were sent (and with --wait answered well), or no item waits."""
        if self.outcome == "sent" and self.waited:
            return bool(self.requests) and all(one.verdict == "ok" for one in self.requests)
        return self.outcome in ("sent", "nothing to do")

    @property
    def request(self) -> Request | None:
        """Return the first request that was not answered well; else the first one."""
        return min(self.requests, key=lambda one: one.verdict == "ok", default=None)


def run_now(
    stack: StackName = None,
    config_file: ConfigFile = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the response and the items.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run the processor job's command now, on real items. Asks first, except on the local stack.

    Exit 0 when a request was sent or nothing waits, with --wait when it was answered well; 1 otherwise.
    """
    from bubble_sync.actions import run_now as action

    with open_stack(stack, config_file) as context:
        prepared = action.prepare_run(context.database, context.name)
        if not as_json:
            _show_prepared(prepared, context.name)
        if needs_confirmation(context) and not confirm("run it now?", yes=yes, as_json=as_json):
            progress("nothing was run")
            raise typer.Exit(NO)
        # Standard output holds nothing but the JSON.
        show = (lambda _: None) if as_json else (lambda notice: print_text(f"{notice.severity}: {notice.text}"))
        ran = action.run_command(context.database, prepared, context.name, show)
        answer = _answer(context, prepared, ran, wait=wait)
    # One request in fields of its own, as runs with `requestsPerTick: 1` have it.
    first = answer.request_ids[0] if answer.request_ids else None
    one = {"request_id": first, "request": asdict(answer.request) if answer.request else None}
    print_answer(answer, _show, next=_next(answer), as_json=as_json, good=answer.good, **one)
    raise typer.Exit(code_of(answer.good))


def needs_confirmation(context: StackContext) -> bool:
    """Return whether to ask: on every stack but the local one."""
    here = context.settings.address(context.environment).loopback and context.project_ref is None
    return not here or context.name in _PRODUCTION


def _answer(context: StackContext, prepared: Prepared, ran: Ran, *, wait: bool) -> RunOutput:
    from bubble_sync.actions.run_now import count_items
    from bubble_sync.records.messages import whole

    unknown = dict(prepared.unknown)
    requests = _await_responses(context, ran.requests, unknown) if wait and ran.requests else ()
    after = count_items(context.database) if requests and prepared.items else None
    return RunOutput(
        stack=context.name,
        command=whole(prepared.command),
        jobid=prepared.jobid,
        notes=prepared.notes,
        notices=ran.notices,
        outcome=ran.outcome,
        request_ids=tuple(one.request_id for one in ran.requests),
        waited=wait,
        requests=requests,
        before=prepared.items.by_status if prepared.items else None,
        after=after.by_status if after else None,
        unknown=unknown,
    )


def _await_responses(
    context: StackContext, sent: tuple[SentRequest, ...], unknown: dict[str, str]
) -> tuple[Request, ...]:
    from bubble_sync.database.polling import WAIT_BEYOND_TIMEOUT_SECONDS
    from bubble_sync.records.requests import follow, why_not_followed

    if why := why_not_followed(context.database):
        unknown["answer"] = why
        return ()
    seconds = context.settings.processor.timeout_ms / 1000 + WAIT_BEYOND_TIMEOUT_SECONDS
    deadline = time.monotonic() + seconds
    try:
        answers = "the answer" if len(sent) == 1 else f"{len(sent)} answers"
        progress(f"waiting for {answers}, {format_age(seconds)} at most ...")
        return tuple(follow(context.database, one, max(0.0, deadline - time.monotonic())) for one in sent)
    except KeyboardInterrupt:
        goes = "goes on by itself" if len(sent) == 1 else "go on by themselves"
        progress(f"not waited for: {_named(tuple(one.request_id for one in sent))} {goes}")
        raise


def _show_prepared(prepared: Prepared, stack: str) -> None:
    from bubble_sync.records.messages import whole

    out = screen()
    waiting = (
        "the number of waiting items is unknown" if prepared.items is None else f"{prepared.items.waiting} waiting"
    )
    out.print(f"stack {stack}: {waiting}; the Edge Function takes real items", style="bold")
    for note in prepared.notes:
        out.print(f"! {note}", style="yellow")
    of = f"  (job {prepared.processor.name}, jobid {prepared.jobid})" if prepared.jobid else ""
    first, *others = whole(prepared.command).splitlines() or [""]
    out.print(f"run: {first}{of}", *(f"     {line}" for line in others), sep="\n")


def _show(answer: RunOutput, out: Console) -> None:
    out.print(_verdict(answer), style="green" if answer.good else "red")
    if answer.before is not None and answer.after is not None:
        items = table("status", ">before", ">after")
        for status in sorted({*answer.before, *answer.after}):
            items.add_row(status, str(answer.before.get(status, 0)), str(answer.after.get(status, 0)))
        out.print(items)
    print_unknown(answer.unknown, out)


def _next(answer: RunOutput) -> str:
    if answer.good:
        return ""
    if answer.outcome == "skipped":
        return "`bubble-sync runs` shows the answer when it is there"
    return "`bubble-sync doctor`"


def _verdict(answer: RunOutput) -> str:
    if answer.requests:
        return "\n".join(map(_answered, answer.requests))
    return {
        "sent": f"sent: {_named(answer.request_ids)}",
        "skipped": "skipped: the last request is not answered yet",
        "not sent": "not sent: the warning says why",
        "unknown": "the command ran and reported no request",
    }.get(answer.outcome, answer.outcome)


def _answered(request: Request) -> str:
    took = (request.settled_at - request.sent_at).total_seconds() if request.settled_at else None
    after = f", after {format_seconds(took)}" if took is not None else ""
    return f"request {request.request_id}: {request}{after}"


def _named(ids: tuple[int, ...]) -> str:
    return f"request{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"
