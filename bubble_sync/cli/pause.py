"""`bubble-sync pause` and `bubble-sync resume`: pause jobs and resume them."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.options import ConfigFile, StackName, resolve_stack
from bubble_sync.cli.output import print_text, progress

if TYPE_CHECKING:
    from bubble_sync.actions.pause import PauseResult


def _jobs_beginning_with(incomplete: str) -> list[str]:
    from bubble_sync.model.jobs import MANAGED_JOBS

    return [job.key for job in MANAGED_JOBS if job.key.startswith(incomplete)]


JobOption = Annotated[
    str | None,
    typer.Option("--job", "-j", help="One job, as in retry; all unless given.", autocompletion=_jobs_beginning_with),
]


def pause(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Reason, kept in the configuration.")],
    stack: StackName = None,
    config_file: ConfigFile = None,
    job: JobOption = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Expected end: 2h, 1d12h, or 2027-01-31T18:00:00Z.")
    ] = None,
) -> None:
    """Pause jobs: write the pause into the configuration and converge only these jobs with `pulumi up`."""
    from bubble_sync.actions import pause as action

    chosen = resolve_stack(stack, config_file)
    keys = action.keys_of(job, chosen.settings().names)
    moment = None if until is None else action.read_pause_end(until, datetime.now(UTC))
    done = action.pause(chosen, keys, reason, moment, progress)
    _show(done, chosen.name, keys)
    if done.changed:
        of = f" --job {shlex.quote(job)}" if job else ""
        print_text(f"resume with:  bubble-sync resume{of}")


def resume(stack: StackName = None, config_file: ConfigFile = None, job: JobOption = None) -> None:
    """Resume jobs: remove the pause from the configuration and converge only these jobs with `pulumi up`."""
    from bubble_sync.actions import pause as action

    chosen = resolve_stack(stack, config_file)
    keys = action.keys_of(job, chosen.settings().names)
    _show(action.resume(chosen, keys, progress), chosen.name, keys)


def _show(done: PauseResult, stack: str, keys: tuple[str, ...]) -> None:
    from bubble_sync.model.jobs import MANAGED_JOBS
    from bubble_sync.model.pauses import paused

    paused_jobs = paused(done.settings, datetime.now(UTC))
    already = "" if done.changed else " already: nothing was changed"
    for name in (done.settings.names.render(job.name) for job in MANAGED_JOBS if job.key in keys):
        state = paused_jobs.get(name, "active")
        print_text(f"job {name} of stack {stack} is {state}{already}")
    if done.commit is not None:
        print_text(f"commit it:  {done.commit}")
