"""The entry of the command line: the groups of commands, and what an error becomes."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated

import typer

from bubble_sync.cli import (
    config,
    diff,
    doctor,
    drift,
    failures,
    key,
    local,
    metrics,
    pause,
    report,
    requeue,
    run_now,
    runs,
    status,
    trace,
    verify,
    watch,
)
from bubble_sync.errors import ConfigurationError, SyncError, Unreachable

REFUSED, MISUSED, UNREACHABLE, OUR_BUG = 1, 2, 3, 4

app = typer.Typer(
    name="bubble-sync",
    help="The Supabase sign-up sync, and a platform to run it on this machine.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.command()(status.status)
app.command()(trace.trace)
app.command()(runs.runs)
app.command()(failures.failures)
app.command()(doctor.doctor)
app.command("run-now")(run_now.run_now)
app.command()(requeue.retry)
app.command("release-stalled")(requeue.release_stalled)
app.command()(metrics.metrics)
app.command()(config.config)
app.command()(pause.pause)
app.command()(pause.resume)
app.command()(verify.verify)
app.command()(report.report)
app.command()(watch.watch)
app.command()(diff.diff)
app.command()(drift.drift)
app.add_typer(key.app, name="key")
app.add_typer(local.app, name="local")


@dataclass
class Outcome:
    """Turns what a command raises into one line on stderr and an exit code."""

    debug: bool = False

    def __enter__(self) -> Outcome:
        """Watch a command."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, _: TracebackType | None
    ) -> None:
        """Exit with the code of the problem; usage errors and exits have been dealt with by then."""
        if not isinstance(problem, Exception) or self.debug:
            return
        if isinstance(problem, SyncError):
            sys.stderr.write(f"error: {problem}\n")
            raise SystemExit(exit_code(problem)) from None
        # The text of an unforeseen error may hold anything, a secret too.
        sys.stderr.write(
            f"error: a bug of bubble-sync ({type(problem).__name__}): run again with --debug and report it\n"
        )
        raise SystemExit(OUR_BUG) from None


def exit_code(problem: SyncError) -> int:
    """Return the exit code for a problem of the operator's."""
    if isinstance(problem, ConfigurationError):
        return MISUSED
    return UNREACHABLE if isinstance(problem, Unreachable) else REFUSED


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("bubble-sync"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take what every command understands; without one, say the selected stack's status in one line."""
    context.obj.debug = debug
    if context.invoked_subcommand is None:
        status.in_one_line(os.environ.get("PULUMI_STACK"))


def run() -> None:
    """Run the command line."""
    outcome = Outcome()
    with outcome:
        # Not app(): that replaces sys.excepthook and prints frames of its own.
        typer.main.get_command(app)(obj=outcome)
