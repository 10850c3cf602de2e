"""How a command gets a stack: which one, where its configuration file is, and its settings.

The settings come from the environment variable `BUBBLE_SYNC_CONFIG`, where it is set, and from one call of Pulumi
otherwise, which decrypts what is encrypted.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, RootModel, ValidationError

from bubble_sync.config.commands import completed
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.project_folder import config_folder, project_folder, stack_names
from bubble_sync.config.settings import ConfigValue, StackSettings, read_settings
from bubble_sync.errors import ConfigurationError

CONFIG_VARIABLE = "BUBBLE_SYNC_CONFIG"
"""Holds what `pulumi config --json --show-secrets` prints, for a machine that has no passphrase."""

_SHOW = ("config", "--json", "--show-secrets")
_ANSWERS_WITHIN_SECONDS = 120
_CHANGES_WITHIN_SECONDS = 3600
"""`up` waits for a person's database: an hour is no work any more, it hangs."""
_ENDS_WITHIN_SECONDS = 30
_CHANGING = ("up", "destroy", "refresh")


class _Value(BaseModel):
    value: str | None = None
    secret: bool = False


class _Config(RootModel[dict[str, _Value]]):
    """The JSON that Pulumi prints."""


@dataclass(frozen=True)
class Stack:
    """One stack of a project, as a person at its folder means it."""

    name: str
    folder: Path
    config_file: Path
    environment: Mapping[str, str]
    options: tuple[str, ...]
    """What makes a Pulumi command mean this stack."""
    own_options: tuple[str, ...] = ()
    """What makes a command of ours mean it, where that is something else."""

    def completed(self, text: str) -> str:
        """Return a text whose commands name this stack."""
        return completed(text, self.options, self.own_options)

    def settings(self, config: Mapping[str, ConfigValue] | None = None) -> StackSettings:
        """Validate the stack's configuration, read unless given; raise ConfigurationError with every problem."""
        settings = read_settings(self.config() if config is None else config)
        if settings.database_ca is None:
            return settings
        # A relative path counts from the project's folder, wherever the command is typed.
        return settings.model_copy(update={"database_ca": str(self.folder / settings.database_ca)})

    def config(self) -> dict[str, ConfigValue]:
        """Return the stack's own values as they are written, decrypted; raise ConfigurationError."""
        given = self.environment.get(CONFIG_VARIABLE)
        return parse_config(self._shown() if given is None else given)

    def without_given_config(self) -> Stack:
        """Return the same stack, whose settings are Pulumi's own: for a command that changes them."""
        kept = {name: value for name, value in self.environment.items() if name != CONFIG_VARIABLE}
        return replace(self, environment=kept)

    def pulumi(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a Pulumi command on this stack, without questions; its outcome is the caller's to judge."""
        return run_pulumi([*command, *self.options], self.folder, self.environment, given)

    def _shown(self) -> str:
        done = self.pulumi(*_SHOW)
        if done.returncode != 0:
            raise ConfigurationError(f"pulumi cannot read the configuration of stack {self.name!r}: {complaint(done)}")
        return done.stdout


def open_stack(name: str | None, config_file: Path | None, start: Path, environment: Mapping[str, str]) -> Stack:
    """Find the stack `name`, or the selected one, of the project that `start` is in; raise ConfigurationError."""
    if name is not None and not name.strip():
        raise ConfigurationError("--stack is empty: name a stack, or leave --stack out for the selected one")
    folder = project_folder(start)
    name = name or _selected(folder, environment)
    short = name.rsplit("/", 1)[-1]
    options: tuple[str, ...] = ("--stack", name)
    if config_file is not None:
        if not config_file.is_file():
            raise ConfigurationError(f"there is no configuration file {config_file}: correct --config-file")
        options += ("--config-file", str(config_file.resolve()))
    file = config_file or config_folder(folder) / f"Pulumi.{short}.yaml"
    return Stack(short, folder, file.resolve(), environment, options)


def all_stacks(start: Path, environment: Mapping[str, str], but: str) -> list[Stack]:
    """Find every stack that has a configuration file in the project's folder, except `but`; raise ConfigurationError.

    None takes the settings that the environment gives: those are one stack's.
    """
    folder = project_folder(start)
    if not (found := [name for name in stack_names(folder) if name != but]):
        where = config_folder(folder)
        raise ConfigurationError(f"there is no Pulumi.<stack>.yaml in {where} but {but}'s: nothing to look at")
    return [open_stack(name, None, folder, environment).without_given_config() for name in found]


def parse_config(text: str) -> dict[str, ConfigValue]:
    """Read the stack's own keys out of the JSON that `pulumi config --json --show-secrets` prints."""
    try:
        config = _Config.model_validate_json(text).root
    except ValidationError:
        raise ConfigurationError(
            f"{CONFIG_VARIABLE} is not what `pulumi {' '.join(_SHOW)}` prints: set it anew"
        ) from None
    prefix = f"{NAMESPACE}:"
    ours = {key.removeprefix(prefix): one for key, one in config.items() if key.startswith(prefix)}
    hidden = sorted(key for key, one in ours.items() if one.value is None)
    if hidden:
        raise ConfigurationError(
            f"{prefix}{hidden[0]} has no value: print it with `pulumi {' '.join(_SHOW)}`, which decrypts secrets"
        )
    return {key: ConfigValue(one.value or "", one.secret) for key, one in ours.items()}


def run_pulumi(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Pulumi command in a folder, with `given` on its standard input; its outcome is the caller's to judge."""
    program = shutil.which("pulumi", path=environment.get("PATH", os.defpath))
    if program is None:
        raise ConfigurationError(f"pulumi is not on PATH: {_how_to_get_pulumi(folder)}")
    arguments = [program, *command, "--non-interactive"]
    seconds = _CHANGES_WITHIN_SECONDS if command[0] in _CHANGING else _ANSWERS_WITHIN_SECONDS
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env={"PULUMI_SKIP_UPDATE_CHECK": "true", **environment},
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A Ctrl-C is ours alone to answer: a Pulumi that is killed leaves its stack locked.
        start_new_session=True,
    ) as running:
        try:
            said, complained = running.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(running)
            what = f"error: `pulumi {command[0]}` did not end within {seconds} s: is its backend reachable?"
            return subprocess.CompletedProcess(arguments, 124, "", what)
        except BaseException:
            _end(running)
            raise
    return subprocess.CompletedProcess(arguments, running.returncode, said, complained)


def _end(running: subprocess.Popen[str]) -> None:
    """End Pulumi as a person would, so that it gives its lock back; kill what does not listen."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(running.pid, number)
            running.communicate(timeout=_ENDS_WITHIN_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _how_to_get_pulumi(folder: Path) -> str:
    if (folder / "tools" / "setup").is_file():
        return "run `make setup`, and this command with `uv run`"
    return "install it (https://www.pulumi.com/docs/install/), or add the folder it is in to PATH"


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a Pulumi command said was wrong, in one line."""
    said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    error = next((line for line in said if line.startswith("error:")), said[0] if said else f"exit {done.returncode}")
    return error.removeprefix("error:").strip()


def _selected(folder: Path, environment: Mapping[str, str]) -> str:
    done = run_pulumi(["stack", "--show-name"], folder, environment)
    if done.returncode != 0:
        raise ConfigurationError(f"no stack is selected: give --stack, or `pulumi stack select` ({complaint(done)})")
    return done.stdout.strip()
