"""The stack `local` of a platform: its Pulumi backend, its configuration file, and the environment they need.

Everything is written into the platform's folder. The tracked `Pulumi.local.yaml` is only read: Pulumi itself would
rewrite it with addresses and a key, or delete it together with the stack.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.local.account import server_account
from bubble_sync.local.addresses import Addresses, write_private
from bubble_sync.stacks import complaint, run_pulumi

NAME = "local"
DATABASE_URL_VARIABLE = "BUBBLE_SYNC_LOCAL_DATABASE_URL"


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
        """Say the line that a person types."""
        return f". {shlex.quote(str(self.environment_file))} && uv run pulumi up {shlex.join(self.arguments)}"

    def pulumi(self, *command: str, config: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a Pulumi command on this stack, without questions; its outcome is the caller's to judge."""
        arguments = self.arguments if config else self.arguments[:2]
        return run_pulumi([*command, *arguments], self.checkout, self.environment)


def require_checkout(folder: Path) -> Path:
    """Return the folder when it holds the program's files; raise PlatformError otherwise."""
    for file in (f"Pulumi.{NAME}.yaml", "Pulumi.yaml"):
        if not (folder / file).is_file():
            raise PlatformError(f"there is no {file} in {folder}: run this in a checkout of bubble-sync")
    return folder


def prepare(addresses: Addresses, checkout: Path) -> LocalStack:
    """Write the stack's files into the platform's folder, and make the stack where it is not."""
    folder = addresses.folder / "pulumi"
    (folder / "state").mkdir(parents=True, exist_ok=True)
    added = {
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        # No secret: what it encrypts is thrown away with the platform.
        "PULUMI_CONFIG_PASSPHRASE": NAME,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        DATABASE_URL_VARIABLE: addresses.database_url,
    }
    for file in ("Pulumi.yaml", f"Pulumi.{NAME}.yaml"):
        shutil.copyfile(checkout / file, folder / file)
    environment = {**os.environ, **added}
    # A folder of its own with the same project name: whatever these commands write, they write there.
    _need(run_pulumi(["stack", "select", "--create", NAME], folder, environment))
    for key, value, kind in (
        ("supabaseUrl", addresses.endpoint_url, "--plaintext"),
        ("serviceRoleKey", addresses.service_role_key, "--secret"),
    ):
        setting = ["config", "set", "--stack", NAME, f"bubble-sync:{key}", kind]
        _need(run_pulumi(setting, folder, environment, given=value))
    environment_file = addresses.folder / "environment"
    write_private(environment_file, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in added.items()))
    server_account().own(folder)
    return LocalStack(checkout, folder / f"Pulumi.{NAME}.yaml", environment_file, environment)


def _need(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise PlatformError(f"pulumi could not prepare the stack: {complaint(done)}")
