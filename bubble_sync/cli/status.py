"""`bubble-sync status`: whether the sync keeps up; also the one line of bare `bubble-sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bubble_sync.cli.all_stacks import Question, ask
from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.options import AllStacks, ConfigFile, DatabaseUrlEnv, Json, StackName
from bubble_sync.cli.output import StackContext, open_stack, print_text, table
from bubble_sync.formatting import format_age, format_hours, format_seconds, format_time

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from rich.console import Console

    from bubble_sync.health.jobs import Job
    from bubble_sync.health.status import DrainLimit, Durations, QueueStats, Status


LIVENESS_STYLES = {"likely": "green", "no": "red", "unknown": "yellow"}


def status(
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> None:
    """Show item counts, rates, jobs and responses; exit 0 when nothing is wrong or unknown, 1 otherwise."""
    ask(OVERVIEW, stack, config_file, database_url_env, all_stacks=all_stacks, as_json=as_json)


def _more(found: Status) -> dict[str, object]:
    return {
        "waited_seconds": found.queue.waited_seconds if found.queue else None,
        "seconds_to_empty": found.queue.seconds_to_empty if found.queue else None,
        "drain_seconds": _drain_seconds(found),
        "problems": found.problems,
        "not_known": found.not_known,
        "pauses": found.pauses,
        "good": found.good,
    }


def in_one_line(stack: str | None, config_file: Path | None) -> None:
    """Print the status in one line."""
    with open_stack(stack, config_file) as context:
        found = _read(context)
    print_text(f"{found.stack}: {_line(found)}")
    if step := _next(found):
        print_text(f"next: {step}")
    raise typer.Exit(code_of(found.good))


def _read(context: StackContext) -> Status:
    from bubble_sync.health import status as question

    return question.status(context.database, context.settings, context.name)


def _line(found: Status) -> str:
    return f"{_verdict(found)}; {queue_in_words(found.queue) if found.queue else 'items: unknown'}"


def _verdict(found: Status) -> str:
    if found.problems:
        more = f", and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
        return found.problems[0] + more
    if found.not_known:
        return f"unknown: {found.not_known[0]}"
    if found.pauses:
        return "; ".join(found.pauses)
    if not found.good:
        return f"it does not work: {found.liveness.text}"
    return f"nothing wrong is seen{' (requests: unknown)' if 'requests' in found.unknown else ''}"


def queue_in_words(stats: QueueStats) -> str:
    """Return the item counts in words."""
    oldest = f" (oldest {format_age(stats.waited_seconds)})" if stats.waiting else ""
    return (
        f"{stats.waiting} waiting{oldest}, {stats.in_flight} in flight, {stats.stalled} stalled, "
        f"{stats.retrying} to be retried, {stats.dead} dead"
    )


def _show(found: Status, out: Console) -> None:
    out.print(f"stack {found.stack}, {format_time(found.asked_at)} UTC", style="bold")
    if found.queue is not None:
        _show_items(found, found.queue, out)
    jobs = table("job", "schedule", "last finished run", "")
    for job in found.jobs:
        style = "red" if job.problem else "yellow" if job.paused else None
        run = run_in_words(job, found.asked_at)
        jobs.add_row(job.name, job.schedule or "", run, state_in_words(job), style=style)
    out.print("", jobs, sep="\n")
    out.print()
    _show_answers(found, out)
    optional = [f"{what}: {why}" for what, why in found.unknown.items() if what != "items"]
    for line in (*found.not_known, *optional):
        out.print(f"unknown: {line}", style="yellow")
    for pause in found.pauses:
        out.print(pause, style="yellow")
    for problem in found.problems:
        out.print(f"! {problem}", style="red")
    if found.good and not found.pauses:
        out.print(_verdict(found), style="green")
    out.print(f"does the sync work now? {found.liveness}", style=LIVENESS_STYLES[found.liveness.verdict])


def _next(found: Status) -> str:
    return "" if found.good else "`bubble-sync doctor`"


def _show_items(found: Status, stats: QueueStats, out: Console) -> None:
    items = table("status", "operation", ">items", "oldest (UTC)")
    for row in found.items:
        items.add_row(row["status"], row["operation"], str(row["count"]), format_time(row["oldest_item"]))
    day = table("last 24 h", ">items", "oldest (UTC)", "newest (UTC)")
    for row in found.summary:
        day.add_row(row["status"], str(row["count"]), format_time(row["oldest"]), format_time(row["newest"]))
    out.print(items if found.items else "the queue holds no item", "", queue_in_words(stats), sep="\n")
    out.print(flow_in_words(stats))
    if found.took is not None and found.took.items:
        out.print(took_in_words(found.took))
    if (seconds := _drain_seconds(found)) and found.drain_limit:
        out.print(f"{limit_in_words(found.drain_limit)}; at this rate: {format_hours(seconds)}")
    out.print("", day if found.summary else "no item in the last 24 h", sep="\n")


def flow_in_words(stats: QueueStats) -> str:
    """Return the last hour's rates and the time until the queue is empty."""
    return f"last hour: {stats.enqueued} enqueued, {stats.completed} completed; {_to_empty(stats)}"


def _drain_seconds(found: Status) -> float | None:
    """Return the shortest time to empty a queue that one tick does not empty."""
    waiting, limit = found.queue.waiting if found.queue else 0, found.drain_limit
    return limit.seconds_for(waiting) if limit and waiting > limit.requests * limit.items else None


def limit_in_words(limit: DrainLimit) -> str:
    """Return the most items of an hour, with the reason."""
    requests = "1 request" if limit.requests == 1 else f"{limit.requests} requests"
    each = f"{requests} of {limit.items} items every {format_age(limit.every_seconds)}"
    return f"limit: {limit.per_hour:.0f} items an hour, {each}"


def took_in_words(took: Durations) -> str:
    """Return the durations of the last hour, from insert to completed."""
    median, p95, longest = map(format_seconds, (took.median, took.p95, took.longest))
    items = "1 item" if took.items == 1 else f"{took.items} items"
    return f"from insert to completed, last hour: {items}, p50 {median}, p95 {p95}, max {longest}"


def _to_empty(stats: QueueStats) -> str:
    if not stats.waiting:
        return "nothing waits"
    seconds = stats.seconds_to_empty
    return "the queue did not shrink" if seconds is None else f"empty in about {format_age(seconds)}"


def state_in_words(job: Job) -> str:
    """Return a job's problem or pause in words."""
    if job.pause and not job.active:
        return "paused" if job.paused else "paused, overdue" if job.problem else ""
    return job.problem or (f"first due at {format_time(job.first_due)}" if job.first_due else "")


def run_in_words(job: Job, now: datetime) -> str:
    """Return the status and age of a job's newest finished run."""
    if job.run is None or job.run_at is None:
        return ""
    return f"{job.run}, {format_age((now - job.run_at).total_seconds())} ago"


def _show_answers(found: Status, out: Console) -> None:
    for request in found.requests:
        out.print(f"last request of {request.function}, {format_time(request.sent_at)}: {request}")
    if found.response is not None:
        from bubble_sync.compare.liveness import outcome_of

        out.print(
            f"last response to any request, {format_time(found.response['created'])}: {outcome_of(found.response)}"
        )
    elif not found.requests and "requests" not in found.unknown:
        out.print("no request is recorded")


OVERVIEW = Question(read=_read, show=_show, line=_line, next=_next, more=_more, good=lambda found: found.good)
