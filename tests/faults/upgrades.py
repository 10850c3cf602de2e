"""Programs of earlier versions, environments with other packages, and clusters of another major version."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres.account import Account, private_folder, server_account
from bubble_sync.local.postgres.cluster import Cluster
from bubble_sync.local.postgres.installation import Installation, find_installation, private_installation
from bubble_sync.local.postgres.overlay import LOADER, lay_out
from tests.fixtures.stack import CHECKOUT, Stack, lay_out_program
from tests.fixtures.tools import missing, require_tool
from tools.test_tools import clients_folder

#: The commit of each release, and of the state before `make faults`.
VERSIONS = {
    "0.1.0": "3eb4eec2a62314261b5dbf7305b662ad4955269a",
    "before": "58f06572a492dfcea897af4ffb68a8db63b09f23",
}


def program_of(commit: str, folder: Path) -> Path:
    """Lay out the checkout of a commit, with today's environment."""
    done = subprocess.run(["git", "archive", commit], cwd=CHECKOUT, capture_output=True, check=False)
    if done.returncode:
        missing(f"commit {commit} of the history")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def of_program(stack: Stack, folder: Path) -> Stack:
    """Return the same stack, run by another program; the environment's own package is the checkout's."""
    environment = {**stack.local.environment, "PYTHONPATH": str(folder), "UV_NO_SYNC": "1"}
    return Stack(replace(stack.local, checkout=folder, environment=environment), stack.said)


def interpreter(version: str) -> Path:
    """Return a Python of this version, or skip the test that asks."""
    named = (Path(entry) / f"python{version}" for entry in os.get_exec_path())
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for program in (*named, *sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))):
        if program.exists() and not subprocess.run([program, "--version"], capture_output=True, check=False).returncode:
            return program
    return missing(f"python{version}")


def environment(folder: Path, python: Path, *requirements: str) -> Path:
    """Make a virtual environment with what the product requires, some of it of other versions."""
    uv = require_tool("uv")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    needs = ["-r", CHECKOUT / "pyproject.toml", *requirements]
    for command in (
        [uv, "venv", "--quiet", "--python", python, folder],
        [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *needs],
    ):
        done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    built = Path(sys.prefix) / "pulumi"
    if built.exists():
        (folder / "pulumi").symlink_to(built.resolve())
    return folder


def with_environment(stack: Stack, folder: Path, venv: Path) -> Stack:
    """Return the same stack, run by today's program in another environment."""
    lay_out_program(folder, but=(".venv",))
    (folder / ".venv").symlink_to(venv)
    environment = {**stack.local.environment, "UV_NO_SYNC": "1"}
    return Stack(replace(stack.local, checkout=folder, environment=environment), stack.said)


_SERVERS = ("postgres", "pg_controldata", "pg_ctl", "pg_resetwal", "initdb", "pg_upgrade")
_CLIENTS = ("pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb")


def _add_programs(folder: Path, programs: Path, server: Installation, account: Account) -> None:
    """Give a platform's server what pg_upgrade looks for in its folder."""
    places = dict.fromkeys(_SERVERS, server)
    clients = private_installation(clients_folder(server))
    if clients is None:
        missing("pg_dump")
    else:
        if not (folder / "clients").exists():
            shutil.copytree(clients.folder, folder / "clients", symlinks=True)
            account.own(folder / "clients")
        copied = private_installation(folder / "clients")
        assert copied is not None
        places |= dict.fromkeys(_CLIENTS, copied)
    for name, where in places.items():
        program, libraries = programs / name, ":".join(map(str, where.libraries))
        words = [str(programs / LOADER), "--argv0", str(program), "--library-path", libraries, str(where.bin / name)]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
        program.chmod(0o755)
        account.own(program)


def upgrade(old: Platform, folder: Path, major: int) -> Platform:
    """Stop a platform, and carry its cluster into a folder for another major version, as pg_upgrade does."""
    account, addresses = server_account(), old.addresses().model_copy(update={"folder": folder})
    old.stop()
    private_folder(folder, account)
    shutil.copy(old.folder / "vault_root_key", folder / "vault_root_key")
    account.own(folder / "vault_root_key")
    addresses.save()
    programs: dict[Path, Path] = {}
    for home, version in ((old.folder, None), (folder, major)):
        server = find_installation(version or int((home / "data/PG_VERSION").read_text("utf-8")))
        if not server.private:
            missing("a private PostgreSQL of both versions")
        programs[home] = lay_out(home, account, server.major)
        _add_programs(home, programs[home], private_installation(home / "server") or server, account)
    cluster = Cluster(folder, programs[folder], addresses.database_port, account)
    cluster.create()
    cluster.start({})
    cluster.stop()
    done = account.run(
        [
            programs[folder] / "pg_upgrade", "-U", "supabase_admin", "-b", programs[old.folder], "-B", programs[folder],
            "-d", old.folder / "data", "-D", folder / "data", "-s", folder,
        ],
        folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return Platform(folder)
