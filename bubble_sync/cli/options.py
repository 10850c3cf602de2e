"""Options of several commands: stack, configuration file, output format, key."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.config.commands import complete_commands, needs_project
from bubble_sync.config.durations import FORMS, read_duration
from bubble_sync.config.project_folder import LOCAL, project_folder, stack_names
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.config.stacks import Stack


def stacks_beginning_with(incomplete: str) -> list[str]:
    """Return the project's stacks for shell completion; none when the project cannot be read."""
    # An error would be printed into the line being typed.
    with suppress(OSError, ConfigurationError):
        return [name for name in stack_names(project_folder(Path.cwd())) if name.startswith(incomplete)]
    return []


StackName = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        help="The stack; the selected one unless given.",
        envvar="PULUMI_STACK",
        autocompletion=stacks_beginning_with,
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config-file", help="Configuration file, as for pulumi.")]
DatabaseUrlEnv = Annotated[
    str | None,
    typer.Option(
        "--database-url-env",
        metavar="NAME",
        help="Environment variable with the database URL: the settings come from the ledger, not from a stack file.",
    ),
]
AllStacks = Annotated[bool, typer.Option("--all-stacks", help="Every Pulumi.<stack>.yaml except local's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Details = Annotated[
    bool, typer.Option("--details", help="Show what the Edge Function noted: error_details, bubble_response.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
KeyFd = Annotated[
    int | None, typer.Option("--key-fd", help="File descriptor to read the key from, as in --key-fd 3 3<file.")
]

_LONGEST_KEY = 16_384
_COMPLETED: ContextVar[Callable[[str], str]] = ContextVar("the completion of commands for the current stack")
_BY_URL: ContextVar[bool] = ContextVar("whether the current stack was found by its database URL", default=False)


def resolve_stack(name: str | None, config_file: Path | None, environment: Mapping[str, str] = os.environ) -> Stack:
    """Find the stack; `local` means the checkout's running platform, if any."""
    # Imported here: commands without a stack need none of these modules.
    from bubble_sync.config.stacks import CONFIG_VARIABLE, locate_stack

    own: tuple[str, ...] = ()
    before = ""
    if name == LOCAL and config_file is None and CONFIG_VARIABLE not in environment:
        from bubble_sync.local.stack import DATABASE_URL_VARIABLE, of_checkout

        local = of_checkout(project_folder(Path.cwd()), environment)
        if local is not None:
            exported = environment.get(DATABASE_URL_VARIABLE)
            if exported not in (None, local.environment[DATABASE_URL_VARIABLE]):
                typer.echo(f"note: {DATABASE_URL_VARIABLE} is ignored: {LOCAL} means the local platform", err=True)
            before = "" if local.reached_from(environment) else local.sourcing
            config_file, environment = local.config_file, local.environment
            own = ("--stack", LOCAL)
    located = locate_stack(name, config_file, Path.cwd(), environment)
    opened = replace(located, own_options=own, before_pulumi=before)
    _COMPLETED.set(opened.completed)
    return opened


def complete_by_url(stack: str, selection: Sequence[str]) -> None:
    """Complete commands for a stack that was found by its database URL; `selection` are the options that found it."""
    _COMPLETED.set(lambda text: complete_commands(text, ("--stack", stack), reading=selection))
    _BY_URL.set(True)


def step(name: str, text: str) -> str:
    """Return a step of a remedy; for a stack found by its database URL, with the place of a command that needs more."""
    elsewhere = _BY_URL.get() and needs_project(text)
    return f"{name}{', in the folder of the project' if elsewhere else ''}: {text}"


def require_no_choice(
    stack: str | None,
    config_file: Path | None,
    database_url_env: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Raise ConfigurationError for an option that selects a stack next to --all-stacks."""
    if chosen_stack(stack, environment) or config_file is not None or database_url_env is not None:
        others = "--stack, --config-file and --database-url-env"
        raise ConfigurationError(f"--all-stacks looks at every stack: leave out {others}")


def chosen_stack(stack: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the stack of --stack, unless it is the one of the variable, which counts for every command."""
    return None if stack == environment.get("PULUMI_STACK") else stack


def complete_for_stack(text: str) -> str:
    """Return a text whose commands name the current stack."""
    completed = _COMPLETED.get(None)
    return text if completed is None else completed(text)


def typed(context: typer.Context, option: str) -> bool:
    """Return whether an option was typed, not taken from a variable."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def duration(option: str, text: str, least: str, most: str) -> timedelta:
    """Read a duration between two limits, as in 24h."""
    found = read_duration(text)
    if found is None or not (read_duration(least) or found) <= found <= (read_duration(most) or found):
        raise ConfigurationError(f"{option} takes a time from {least} to {most}, as in {FORMS}: not {text!r}")
    return found


def read_key_from(descriptor: int) -> str:
    """Read a key from a file descriptor, without the final line break."""
    try:
        if descriptor in (1, 2) or os.isatty(descriptor):
            raise ConfigurationError(
                f"descriptor {descriptor} cannot hold a key: open a file in the same line (--key-fd 3 3<file), "
                "or leave --key-fd out to be asked"
            )
        with os.fdopen(descriptor, encoding="utf-8") as file:
            given = file.read(_LONGEST_KEY + 1)
    except (OSError, ValueError, OverflowError):
        raise ConfigurationError(
            f"the key cannot be read from descriptor {descriptor}: open it in the same line, as in "
            f"--key-fd {descriptor} {descriptor}<file"
        ) from None
    if len(given) > _LONGEST_KEY:
        raise ConfigurationError(f"descriptor {descriptor} holds more than a key: put the key alone into the file")
    return given.removesuffix("\n").removesuffix("\r")


def ask_for_key() -> str:
    """Prompt for a key without echo."""
    if not sys.stdin.isatty():
        raise ConfigurationError("no key was given: pass --key-fd 3 3<file, or run in a terminal")
    key: str = typer.prompt("the new key", hide_input=True, err=True)
    return key


def confirm(question: str, *, yes: bool, as_json: bool) -> bool:
    """Ask for confirmation, unless --yes was given."""
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        raise ConfigurationError("not a terminal: pass --yes to confirm. Nothing was changed.")
    # typer's own prompt writes a space to standard output.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
