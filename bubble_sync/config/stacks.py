"""Find a command's stack, its configuration file and its settings.

Settings come from the environment variable `BUBBLE_SYNC_CONFIG` if set; else Pulumi decrypts them in one call.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from bubble_sync.config.commands import complete_commands
from bubble_sync.config.database_url import NAMESPACE, missing_parts
from bubble_sync.config.project_folder import config_folder, project_folder, stack_names
from bubble_sync.config.settings import ConfigValue, StackSettings, read_settings
from bubble_sync.errors import ConfigurationError

CONFIG_VARIABLE = "BUBBLE_SYNC_CONFIG"
"""The output of `pulumi config --json --show-secrets`, for machines without a passphrase."""

_NO_STACK = "no stack named"
_NO_FOLDER = re.compile(r"unable to open bucket file://.*: stat ([^:]+): no such file or directory")
_SHOW = ("config", "--json", "--show-secrets")
_ANSWERS_WITHIN_SECONDS = 120
_CHANGES_WITHIN_SECONDS = 3600
"""`up` and `preview` may wait for locks; after an hour, Pulumi hangs."""
_ENDS_WITHIN_SECONDS = 30
_CHANGING = ("up", "destroy", "refresh")
_AT_ONCE = 8
_OF_THE_STACK = ("error: update failed", "error: preview failed")
"""Errors that say no cause; Pulumi prints the stack's messages before a resource's when it also has a warning."""


_T = TypeVar("_T")


class _Value(BaseModel):
    value: str | None = None
    secret: bool = False


_CONFIG = TypeAdapter(dict[str, _Value])
"""The JSON output of Pulumi."""


@dataclass(frozen=True)
class Stack:
    """One stack of a project."""

    name: str
    folder: Path
    config_file: Path
    environment: Mapping[str, str]
    options: tuple[str, ...]
    """Options that select this stack in Pulumi commands."""
    own_options: tuple[str, ...] = ()
    """Options that select this stack in our commands, if different."""
    before_pulumi: str = ""
    """Shell command before the Pulumi commands of this stack, if this shell lacks their environment."""

    def completed(self, text: str) -> str:
        """Return the text with commands that name this stack."""
        return complete_commands(text, self.options, self.own_options, before_pulumi=self.before_pulumi)

    def settings(self, config: Mapping[str, ConfigValue] | None = None) -> StackSettings:
        """Validate the stack's configuration, or `config` if given; raise ConfigurationError with all problems."""
        config = self.config() if config is None else config
        settings = read_settings(config, self._missing_parts(config))
        if settings.database_ca is None:
            return settings
        # Relative paths start at the project folder, not at the working directory.
        return settings.model_copy(update={"database_ca": str(self.folder / settings.database_ca)})

    def _missing_parts(self, config: Mapping[str, ConfigValue]) -> list[str]:
        """Return what the configuration names in plain text and this machine does not have."""
        url_env, ca = (
            config[key].text if key in config and not config[key].secret else None
            for key in ("databaseUrlEnv", "databaseCa")
        )
        return missing_parts(url_env, None if ca is None else str(self.folder / ca), self.environment)

    def config(self) -> dict[str, ConfigValue]:
        """Return the stack's decrypted values; raise ConfigurationError."""
        given = self.environment.get(CONFIG_VARIABLE)
        return parse_config(self._shown() if given is None else given)

    def without_given_config(self) -> Stack:
        """Return the stack without BUBBLE_SYNC_CONFIG, for commands that change settings."""
        kept = {name: value for name, value in self.environment.items() if name != CONFIG_VARIABLE}
        return replace(self, environment=kept)

    def pulumi(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a non-interactive Pulumi command on this stack, and return its result unchecked."""
        return run_pulumi([*command, *self.options], self.folder, self.environment, given)

    def _shown(self) -> str:
        done = self.pulumi(*_SHOW)
        if done.returncode != 0:
            why = complaint(done)
            make = "; make it with `pulumi stack init`, or remove its stack file" if _NO_STACK in why else ""
            raise ConfigurationError(f"pulumi cannot read the configuration of stack {self.name!r}: {why}{make}")
        return done.stdout


def locate_stack(name: str | None, config_file: Path | None, start: Path, environment: Mapping[str, str]) -> Stack:
    """Return the stack `name`, or the selected one, of the project at `start`; raise ConfigurationError."""
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
    """Return all stacks with a configuration file, except `but`; raise ConfigurationError.

    These stacks ignore BUBBLE_SYNC_CONFIG, which holds one stack's settings.
    """
    folder = project_folder(start)
    if not (found := [name for name in stack_names(folder) if name != but]):
        where = config_folder(folder)
        raise ConfigurationError(f"there is no Pulumi.<stack>.yaml in {where} but {but}'s: no stack to check")
    return [locate_stack(name, None, folder, environment).without_given_config() for name in found]


def ask_all(stacks: Sequence[Stack], question: Callable[[Stack], _T]) -> list[_T]:
    """Ask every stack in parallel; answers keep the given order."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(question, stacks))


def parse_config(text: str) -> dict[str, ConfigValue]:
    """Return the stack's own keys from the output of `pulumi config --json --show-secrets`."""
    try:
        config = _CONFIG.validate_json(text)
    except ValidationError:
        raise ConfigurationError(
            f"{CONFIG_VARIABLE} is not what `pulumi {' '.join(_SHOW)}` prints: set the variable again"
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
    """Run a Pulumi command with `given` on standard input, and return its result unchecked."""
    arguments = [find_pulumi(folder, environment), *command, "--non-interactive"]
    slow = command[0] in (*_CHANGING, "preview")
    seconds = _CHANGES_WITHIN_SECONDS if slow else _ANSWERS_WITHIN_SECONDS
    with ExitStack() as files:
        # A command that changes the stack must end in order, with its lock released, although ours was killed: a
        # write into a pipe without a reader would end it at once. Its output holds no secret; that of others may.
        places = "12" if command[0] in _CHANGING else ""
        kept = [files.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in places]
        out, err = kept or (subprocess.PIPE, subprocess.PIPE)
        with subprocess.Popen(
            arguments,
            cwd=folder,
            env={"PULUMI_SKIP_UPDATE_CHECK": "true", **environment},
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=out,
            stderr=err,
            text=True,
            # A key of others, in no encoding, must not end us in the middle of a change.
            errors="replace",
            # A new session hides Ctrl-C from Pulumi, which would leave the stack locked when killed.
            start_new_session=True,
        ) as running:
            try:
                output, errors = running.communicate(given, timeout=seconds)
            except subprocess.TimeoutExpired:
                _end(running)
                what = f"error: `pulumi {command[0]}` did not end within {seconds} s: is its backend reachable?"
                return subprocess.CompletedProcess(arguments, 124, "", what)
            except BaseException:
                _end(running)
                raise
        if kept:
            output, errors = (_whole(file) for file in kept)
    return subprocess.CompletedProcess(arguments, running.returncode, output, errors)


def _whole(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _end(running: subprocess.Popen[str]) -> None:
    """Interrupt Pulumi so that it releases its lock, then kill it if still running."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(running.pid, number)
            running.communicate(timeout=_ENDS_WITHIN_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def find_pulumi(folder: Path, environment: Mapping[str, str]) -> str:
    """Return the path of Pulumi; raise ConfigurationError."""
    program = shutil.which("pulumi", path=environment.get("PATH", os.defpath))
    if program is None:
        raise ConfigurationError(f"pulumi is not on PATH: {_how_to_get_pulumi(folder)}")
    return program


def _how_to_get_pulumi(folder: Path) -> str:
    if (folder / "tools" / "setup").is_file():
        return "run `make setup`, and this command with `uv run`"
    return "install it (https://www.pulumi.com/docs/install/), or add the folder it is in to PATH"


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error of a Pulumi command in one line: a resource's, before the stack's that the command failed."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    of_resources = (line for line in errors if line not in _OF_THE_STACK)
    error = next(of_resources, next(iter([*errors, *lines]), f"exit {done.returncode}")).removeprefix("error:").strip()
    missing = _NO_FOLDER.search(error)
    return f"{error}; make the folder: mkdir -p {shlex.quote(missing[1])}" if missing else error


def _selected(folder: Path, environment: Mapping[str, str]) -> str:
    done = run_pulumi(["stack", "--show-name"], folder, environment)
    if done.returncode != 0:
        why = complaint(done)
        if _NO_FOLDER.search(why):
            raise ConfigurationError(f"pulumi cannot look for stacks: {why}")
        raise ConfigurationError(f"no stack is selected: give --stack, or `pulumi stack select` ({why})")
    return done.stdout.strip()
