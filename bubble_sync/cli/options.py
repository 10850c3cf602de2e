"""What several commands take: the stack, its configuration file, the form of the answer, a key."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.config.durations import FORMS, read_duration
from bubble_sync.config.project_folder import project_folder, stack_names
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.config.stacks import Stack


def stacks_beginning_with(incomplete: str) -> list[str]:
    """Name the stacks of the project here for the shell's completion; none where there is nothing to read."""
    # An error would be printed into the line that somebody is typing.
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
ConfigFile = Annotated[Path | None, typer.Option("--config-file", help="Its configuration file, as for pulumi.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
KeyFd = Annotated[
    int | None, typer.Option("--key-fd", help="File descriptor to read the key from, as in --key-fd 3 3<file.")
]

LOCAL = "local"
"""The name of the embedded platform's stack."""
_LONGEST_KEY = 16_384
_MEANT: ContextVar[Stack] = ContextVar("the stack that the command is about")


def the_stack(name: str | None, config_file: Path | None, environment: Mapping[str, str] = os.environ) -> Stack:
    """Find the stack that is meant; `local` is the checkout's running platform, where there is one."""
    # Here, as in every command: nobody waits for what another one needs.
    from bubble_sync.config.stacks import CONFIG_VARIABLE, open_stack

    own: tuple[str, ...] = ()
    if name == LOCAL and config_file is None and CONFIG_VARIABLE not in environment:
        from bubble_sync.local.stack import of_checkout

        local = of_checkout(project_folder(Path.cwd()), environment)
        if local is not None:
            config_file, environment = local.config_file, local.environment
            own = ("--stack", LOCAL)
    opened = replace(open_stack(name, config_file, Path.cwd(), environment), own_options=own)
    _MEANT.set(opened)
    return opened


def completed(text: str) -> str:
    """Return a text whose commands name the stack that this command is about; as it stands where there is none."""
    stack = _MEANT.get(None)
    return text if stack is None else stack.completed(text)


def typed(context: typer.Context, option: str) -> bool:
    """Say whether a person typed this option: a variable that names a stack is there for other commands too."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def duration(option: str, text: str, least: str, most: str) -> timedelta:
    """Read a duration between two others, as in 24h; raise ConfigurationError."""
    found = read_duration(text)
    if found is None or not (read_duration(least) or found) <= found <= (read_duration(most) or found):
        raise ConfigurationError(f"{option} takes a time from {least} to {most}, as in {FORMS}: not {text!r}")
    return found


def read_key_from(descriptor: int) -> str:
    """Read a key from a file descriptor, without the line break at its end."""
    try:
        if descriptor in (1, 2) or os.isatty(descriptor):
            raise ConfigurationError(
                f"descriptor {descriptor} is no place for a key: open a file in the same line (--key-fd 3 3<file), "
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
    """Ask the person for a key, without showing it; raise ConfigurationError when nobody is there."""
    if not sys.stdin.isatty():
        raise ConfigurationError("no key was given: add --key-fd 3 3<file, or type it at a terminal")
    key: str = typer.prompt("the new key", hide_input=True, err=True)
    return key


def consent(question: str, *, yes: bool, as_json: bool) -> bool:
    """Ask the person, unless yes was said before; raise ConfigurationError when nobody can be asked."""
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        raise ConfigurationError("nothing was done: there is nobody to ask, so add --yes when it shall be done")
    # typer's own question would write a space to standard output.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
