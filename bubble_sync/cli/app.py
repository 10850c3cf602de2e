"""The command line: commands by group, help and common options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from bubble_sync.cli import (
    ci,
    config,
    diff,
    doctor,
    drift,
    failures,
    init,
    key,
    local,
    metrics,
    pause,
    report,
    requeue,
    run_now,
    runs,
    serve,
    status,
    trace,
    verify,
    watch,
)
from bubble_sync.cli.grouped import Grouped
from bubble_sync.cli.options import ConfigFile, StackName, typed
from bubble_sync.errors import ConfigurationError

_WORKING, _HAPPENED, _ACT, _DEPLOY, _LOCAL = "Is it working", "What happened", "Act", "Deploy", "Local"


app = typer.Typer(
    name="bubble-sync",
    cls=Grouped,
    help="The Supabase sign-up sync: is it working, what happened, and what to do. Alone: the status in one line.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(panel: str, command: Callable[..., None], short: str, name: str | None = None) -> None:
    app.command(name, rich_help_panel=panel, short_help=short)(command)


_add(_WORKING, verify.verify, "The checklist of a set-up that works.")
_add(_WORKING, status.status, "Queue, jobs and responses in numbers.")
_add(_WORKING, doctor.doctor, "Known problems, with their remedies.")
_add(_WORKING, watch.watch, "A live screen; Ctrl-C leaves.")
_add(_WORKING, serve.serve, "A live page for the browser of this machine.")
_add(_HAPPENED, trace.trace, "One item, step by step.")
_add(_HAPPENED, runs.runs, "The jobs' runs and their requests.")
_add(_HAPPENED, failures.failures, "Failed items, grouped by error.")
_add(_HAPPENED, report.report, "One HTML page about a span of time.")
_add(_HAPPENED, metrics.metrics, "The status as OpenMetrics text.")
_add(_ACT, run_now.run_now, "Run the processor now.", "run-now")
_add(_ACT, requeue.requeue, "Put failed items back in the queue.")
# The earlier name of `requeue`, kept for one release: a job is called retry too.
app.command("retry", hidden=True)(requeue.requeue)
_add(_ACT, requeue.discard, "Set failed items to skipped.")
_add(_ACT, requeue.release_stalled, "Put stalled items back in the queue.", "release-stalled")
_add(_ACT, pause.pause, "Pause jobs, with a reason.")
_add(_ACT, pause.resume, "Resume paused jobs.")
app.add_typer(key.key_app, name="key", rich_help_panel=_ACT, short_help="Show, try or rotate the key.")
_add(_DEPLOY, init.init, "A new project in a folder.")
_add(_DEPLOY, diff.diff, "What `pulumi up` would change, and the way back.")
_add(_DEPLOY, drift.drift, "Manual changes since the last `pulumi up`.")
_add(_DEPLOY, config.config, "Each setting with its source.")
app.add_typer(ci.ci_app, name="ci", rich_help_panel=_DEPLOY, short_help="Previews, deploys and drift runs in CI.")
app.add_typer(local.local_app, name="local", rich_help_panel=_LOCAL, short_help="A platform on this machine for tests.")


def _show_version(wanted: bool) -> None:
    if wanted:
        from bubble_sync import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    stack: StackName = None,
    config_file: ConfigFile = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Handle options of all commands; without a command, print a stack's status in one line."""
    context.obj.debug = debug
    if context.invoked_subcommand is None:
        status.in_one_line(stack, config_file)
    elif typed(context, "stack") or typed(context, "config_file"):
        # Refuse both options here: passing them on would lose against PULUMI_STACK or mean another stack.
        command = context.invoked_subcommand
        raise ConfigurationError(f"--stack and --config-file go behind the command: bubble-sync {command} --stack ...")
