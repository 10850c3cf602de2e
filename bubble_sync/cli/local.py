"""`bubble-sync local`: the embedded platform on this machine."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.grouped import Grouped
from bubble_sync.cli.options import Json
from bubble_sync.cli.output import print_document, print_text, progress
from bubble_sync.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from bubble_sync.local.platform import Platform, PlatformStatus

local_app = typer.Typer(
    cls=Grouped,
    help="A throw-away hosted-like platform on this machine.",
    rich_markup_mode=None,
)


def _checkout() -> Path:
    here = Path.cwd()
    # One platform per checkout, from any of its folders.
    return next((each for each in (here, *here.parents) if (each / "Pulumi.yaml").exists()), here)


def _platform() -> Platform:
    # Imported here: other commands need none of the servers' modules.
    from bubble_sync.local.platform import Platform

    return Platform.for_checkout(_checkout())


def _lines(status: PlatformStatus) -> list[str]:
    parts = [f"{each.name:<14} {f'up, pid {each.pid}' if each.pid else 'down':<16} {each.log}" for each in status.parts]
    return [
        *parts,
        f"{'requests':<14} {'':<16} {status.request_log}",
        f"{'database':<14} {status.database or 'not made yet'}",
        f"{'endpoint':<14} {status.endpoint or 'not made yet'}",
    ]


def _next() -> None:
    from bubble_sync.local.stack import NAME

    commands = ("verify", "trace --latest", "report --html report.html")
    asking = (f"  uv run bubble-sync {command} --stack {NAME}" for command in commands)
    signing_up = ("sign a person up:", "  uv run bubble-sync local sign-up ada@example.com")
    progress("\n".join((*signing_up, "ask it:", *asking, "end it:", "  uv run bubble-sync local down")))


@local_app.command()
def up(
    claim: Annotated[
        bool, typer.Option("--claim", help="Let the Edge Function claim items through sql/reference/claim.sql.")
    ] = False,
) -> None:
    """Start the platform, or restart its stopped parts."""
    from bubble_sync.local.guardian import Guard
    from bubble_sync.local.stack import prepare_stack, require_project

    platform, checkout = _platform(), require_project(_checkout())
    progress("starting PostgreSQL with pg_cron, the pg_net worker and the Edge Function ...")
    # A start that is interrupted leaves nothing running.
    guard = Guard()
    stack = prepare_stack(platform.start(), checkout)
    if claim:
        platform.claim_items()
    guard.release()
    print_text(*_lines(platform.status()))
    progress(f"converge it:\n  {stack.how_to}")
    _next()


@local_app.command()
def down() -> None:
    """Stop the platform and remove all of its data."""
    platform = _platform()
    if not platform.exists:
        raise PlatformError(
            f"no platform runs in {platform.folder}: run the command in the checkout that started the platform"
        )
    platform.remove()
    progress(f"removed {platform.folder}")


@local_app.command()
def status(as_json: Json = False) -> None:
    """Show the processes and addresses; exit 0 when everything is up, 1 otherwise."""
    found = _platform().status()
    if as_json:
        print_document({"up": found.up, **asdict(found)})
    else:
        print_text(*_lines(found))
        if found.up:
            _next()
        else:
            print_text("next: `bubble-sync local up`")
    raise typer.Exit(code_of(found.up))


@local_app.command("sign-up")
def sign_up(email: str, as_json: Json = False) -> None:
    """Sign a person up as the application does: three records and one queue item."""
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise ConfigurationError(f"{email!r} is not an email address: pass one such as ada@example.com")
    made = asdict(_platform().sign_up(email))
    if as_json:
        print_document(made)
    else:
        for name, value in made.items():
            print_text(f"{name:<9} {value}")


@local_app.command("demo")
def show_demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the platform running.")] = False,
    wake: Annotated[bool, typer.Option("--wake", help="Send the request at the insert (processor.wake).")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print the output of verify and trace.")] = False,
) -> None:
    """Watch cron sync a sign-up; exit 0 only when our job's run, or the insert, synced the item and verify passes."""
    from bubble_sync.cli.local_demo import demo
    from bubble_sync.local.guardian import Guard
    from bubble_sync.local.stack import require_project

    platform, checkout = _platform(), require_project(_checkout())
    # Use a running platform and leave it running.
    kept = keep or platform.status().up
    guard = Guard()
    if not kept:
        guard.remove(platform.folder)
    try:
        proven = demo(platform, checkout, wake=wake, verbose=verbose)
    finally:
        if kept:
            guard.release()
            progress("\nthe platform is left running")
            _next()
        else:
            platform.remove()
            progress("next: `KEEP=1 make demo` leaves the platform running, and prints how to ask it")
    raise typer.Exit(code_of(proven))
