"""The stack `local` of a platform: its Pulumi backend, its configuration file, and the environment they need.

Everything is written into the platform's folder. A project's own `Pulumi.local.yaml` is optional and only read: Pulumi
itself would rewrite it with addresses and a key, or delete it together with the stack.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.config.project_folder import config_folder
from bubble_sync.config.stacks import complaint, find_pulumi, run_pulumi
from bubble_sync.errors import PlatformError
from bubble_sync.files import whole_folder
from bubble_sync.local.addresses import Addresses, write_private
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.account import server_account

NAME = "local"
DATABASE_URL_VARIABLE = "BUBBLE_SYNC_LOCAL_DATABASE_URL"
_BACKEND = "PULUMI_BACKEND_URL"


@dataclass(frozen=True)
class LocalStack:
    """How Pulumi reaches the platform from a checkout."""

    checkout: Path
    config_file: Path
    environment_file: Path
    environment: Mapping[str, str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Give the options that make a Pulumi command mean this stack."""
        return ("--stack", NAME, "--config-file", str(self.config_file))

    @property
    def how_to(self) -> str:
        """Return the command for a person to type."""
        return f"{self.sourcing}uv run pulumi up {shlex.join(self.arguments)}"

    @property
    def sourcing(self) -> str:
        """Return what a shell runs before its Pulumi commands."""
        return f". {shlex.quote(str(self.environment_file))} && "

    def reached_from(self, environment: Mapping[str, str]) -> bool:
        """Return whether a shell with this environment has the backend of this stack."""
        return environment.get(_BACKEND) == self.environment[_BACKEND]

    def pulumi(self, *command: str, config: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a Pulumi command on this stack without prompts; the caller checks the result."""
        arguments = self.arguments if config else self.arguments[:2]
        return run_pulumi([*command, *arguments], self.checkout, self.environment)


def require_project(folder: Path) -> Path:
    """Return the folder of a project whose stack can be prepared; raise PlatformError or ConfigurationError."""
    if not (folder / "Pulumi.yaml").is_file():
        raise PlatformError(
            f"there is no Pulumi.yaml in {folder} or above: run this in a project of `bubble-sync init`, "
            "or in a checkout of bubble-sync"
        )
    find_pulumi(folder, os.environ)
    return folder


def of_checkout(checkout: Path, environment: Mapping[str, str]) -> LocalStack | None:
    """Return the stack of the checkout's platform; None where `prepare` has made none."""
    addresses = Addresses.load(Platform.for_checkout(checkout).folder)
    made = addresses is not None and _folder(addresses).is_dir()
    return _stack(addresses, checkout, environment) if addresses and made else None


def prepare_stack(addresses: Addresses, checkout: Path) -> LocalStack:
    """Write the stack's files into the platform's folder, and create a missing stack."""
    folder = _folder(addresses)
    if folder.exists():
        _write(addresses, checkout, folder)
    else:
        # Pulumi, killed while it makes a stack, leaves a lock, and then makes none.
        with whole_folder(folder) as half:
            _write(addresses, checkout, half)
    stack = _stack(addresses, checkout, os.environ)
    added = _environment(addresses, folder).items()
    write_private(stack.environment_file, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in added))
    server_account().own(folder)
    return stack


def _write(addresses: Addresses, checkout: Path, folder: Path) -> None:
    """Write the stack's files into a folder, and create a missing stack."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(checkout / "Pulumi.yaml", folder / "Pulumi.yaml")
    config_file = _config_file(folder)
    config_file.parent.mkdir(parents=True, exist_ok=True)
    if _config_file(checkout).exists():
        shutil.copyfile(_config_file(checkout), config_file)
    else:
        config_file.write_text(f"config:\n  bubble-sync:databaseUrlEnv: {DATABASE_URL_VARIABLE}\n", "utf-8")
    environment = {**os.environ, **_environment(addresses, folder)}
    # A separate folder with the same project name takes every file that these commands write.
    _need(run_pulumi(["stack", "select", "--create", NAME], folder, environment))
    for key, value, kind in (
        ("supabaseUrl", addresses.endpoint_url, "--plaintext"),
        ("serviceRoleKey", addresses.service_role_key, "--secret"),
    ):
        setting = ["config", "set", "--stack", NAME, f"bubble-sync:{key}", kind]
        _need(run_pulumi(setting, folder, environment, given=value))


def _folder(addresses: Addresses) -> Path:
    return addresses.folder / "pulumi"


def _config_file(project: Path) -> Path:
    return config_folder(project) / f"Pulumi.{NAME}.yaml"


def _stack(addresses: Addresses, checkout: Path, environment: Mapping[str, str]) -> LocalStack:
    folder = _folder(addresses)
    added = _environment(addresses, folder)
    return LocalStack(checkout, _config_file(folder), addresses.folder / "environment", {**environment, **added})


def _environment(addresses: Addresses, folder: Path) -> dict[str, str]:
    """Return the variables that point Pulumi and the program to this platform."""
    return {
        # Without a file of metadata next to each state: Pulumi does not write those in one step, and after a kill
        # reads no state whose file is half written.
        _BACKEND: f"file://{folder / 'state'}?metadata=skip",
        # Not a secret: the encrypted state is thrown away with the platform.
        "PULUMI_CONFIG_PASSPHRASE": NAME,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        DATABASE_URL_VARIABLE: addresses.database_url,
    }


def _need(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise PlatformError(f"pulumi could not prepare the stack: {complaint(done)}")
