"""The screen of `bubble-sync watch`: important lines first, for low terminals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import RenderableType, group
from rich.text import Text

from bubble_sync.cli.doctor import STYLE
from bubble_sync.cli.options import complete_for_stack
from bubble_sync.cli.output import table
from bubble_sync.cli.status import flow_in_words, queue_in_words, run_in_words, state_in_words, took_in_words
from bubble_sync.config.schedules import next_due
from bubble_sync.formatting import format_age, format_time
from bubble_sync.records.verdicts import GOOD

if TYPE_CHECKING:
    from bubble_sync.health.doctor import Diagnosis
    from bubble_sync.health.jobs import Job
    from bubble_sync.health.status import WatchSnapshot

_MOST_FINDINGS = 6


@group()
def drawn(found: WatchSnapshot, diagnosis: Diagnosis | None, trouble: str, age: float) -> Iterator[RenderableType]:
    """Draw a snapshot that is `age` seconds old; `trouble` explains why no newer one exists."""
    status = found.status
    now = status.asked_at + timedelta(seconds=age)
    yield Text(f"stack {status.stack}, {format_time(now)} UTC; Ctrl-C leaves", style="bold")
    if trouble:
        yield Text(f"{trouble}; what follows is {format_age(age)} old", style="bold yellow")
    if status.queue is not None:
        yield Text(queue_in_words(status.queue))
        yield Text(flow_in_words(status.queue))
    if status.took is not None and status.took.items:
        yield Text(took_in_words(status.took))
    for line in status.not_known:
        yield Text(complete_for_stack(f"unknown: {line}"), style="yellow")
    yield Text()
    jobs = table("job", "next tick", "last finished run", "")
    for job in status.jobs:
        style = "red" if job.problem else "yellow" if job.paused else None
        jobs.add_row(
            job.name, _next_tick(job, now), run_in_words(job, now), complete_for_stack(state_in_words(job)), style=style
        )
    yield jobs
    yield Text()
    yield from _findings(diagnosis)
    yield Text()
    yield from _requests(found)


def _next_tick(job: Job, now: datetime) -> str:
    if not job.active or job.schedule is None:
        return ""
    due = next_due(job.schedule, job.run_at, now)
    return f"in {format_age((due - now).total_seconds())}" if due else job.schedule


def _findings(diagnosis: Diagnosis | None) -> Iterator[Text]:
    if diagnosis is None:
        yield Text("findings: the first examination is not done yet", style="dim")
        return
    causes = diagnosis.causes
    many = len(diagnosis.unknown)
    unknown = f", {many} check{'s' if many > 1 else ''} without an answer" if many else ""
    at = format_time(diagnosis.asked_at)
    yield Text(f"findings at {at}: {len(causes) or 'none'}{unknown}", style="" if causes or unknown else "green")
    for cause in causes[:_MOST_FINDINGS]:
        yield Text(f"{cause.level}: {cause.title} [{cause.id}], {cause.object}", style=STYLE[cause.level])
        yield Text(complete_for_stack(f"  do: {cause.remedy}"))
    if len(causes) > _MOST_FINDINGS:
        yield Text(complete_for_stack(f"and {len(causes) - _MOST_FINDINGS} more: `bubble-sync doctor`"))


def _requests(found: WatchSnapshot) -> Iterator[RenderableType]:
    if why := found.status.unknown.get("requests"):
        yield Text(f"unknown: requests: {why}", style="yellow")
    elif not found.requests:
        yield Text("no request is recorded", style="dim")
    else:
        requests = table("request sent (UTC)", "function", ">waiting", "result")
        for one in found.requests:
            style = None if one.verdict in GOOD else "red"
            requests.add_row(
                format_time(one.sent_at), one.function, str(one.waiting or "insert"), str(one), style=style
            )
        yield requests
