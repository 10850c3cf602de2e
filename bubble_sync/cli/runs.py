"""`bubble-sync runs`: the jobs' runs and the results of their requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import ConfigFile, DatabaseUrlEnv, Json, StackName
from bubble_sync.cli.output import print_answer, table
from bubble_sync.formatting import format_seconds, format_time

if TYPE_CHECKING:
    from rich.console import Console

    from bubble_sync.health.runs import Runs

_DEFAULT = 10


def runs(
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many of the newest runs.")] = _DEFAULT,
) -> None:
    """Show each job's runs of a day, and the newest runs with their requests; exit 0 when all are known to be good."""
    from bubble_sync.health import runs as question

    with open_either(stack, config_file, database_url_env, needs_settings=False) as context:
        found = question.runs(context.database, context.settings, context.name, limit)
    step = "" if found.clean else "`bubble-sync doctor`"
    print_answer(found, _show, next=step, as_json=as_json, clean=found.clean)
    raise typer.Exit(code_of(found.clean))


def _show(found: Runs, out: Console) -> None:
    day = table("job, last 24 h", ">runs", ">mean", ">p95", ">failed", "since (UTC)")
    for one in found.performance:
        times = format_seconds(one.avg_duration_seconds), format_seconds(one.p95_duration_seconds)
        style = "red" if one.failures else None
        day.add_row(one.jobname, str(one.executions), *times, str(one.failures), format_time(one.since), style=style)
    latest = table(">runid", "job", "start (UTC)", ">took", "status", "result")
    # The names of all jobs begin with the stack's prefix.
    prefix = found.jobs[0].name.removesuffix("processor")
    for run in found.runs:
        text = str(run.request) if run.request else run.message if run.status == "failed" else ""
        style = "red" if run.status == "failed" else None
        started = format_time(run.start_time)
        name = run.jobname.removeprefix(prefix)
        took = format_seconds(run.duration_seconds)
        latest.add_row(str(run.runid), name, started, took, run.status, text, style=style)
    if "runs" not in found.unknown:
        out.print(day if found.performance else "no run in the last 24 h", "", sep="\n")
        out.print(latest if found.runs else "no run is on record")
    lines = {f"unknown: {what}: {why}" for what, why in found.unknown.items()}
    lines |= {f"unknown: job {job.name}: {job.unknown}" for job in found.jobs if job.unknown}
    for line in sorted(lines):
        out.print(line, style="yellow")
    if found.stuck:
        out.print(f"! {found.stuck.name} has no answer", style="red")
    for job in found.jobs:
        if job.problem:
            out.print(f"! job {job.name} {job.problem}", style="red")
        elif job.paused:
            out.print(f"job {job.name} is {job.pause}", style="yellow")
