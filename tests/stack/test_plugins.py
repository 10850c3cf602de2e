"""Pulumi looks for the postgresql plugin only where a stack uses it: the search takes seconds, at each command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.stack import CHECKOUT, Stack, lay_out_program


@pytest.fixture(scope="module")
def without_extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program, and the environment that `make setup` makes for stacks without access."""
    folder = lay_out_program(tmp_path_factory.mktemp("plain") / "project", but=(".venv",))
    subprocess.run(
        ["uv", "sync", "--locked", "--quiet", "--no-dev", "--no-install-project"], cwd=CHECKOUT, check=True,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder / ".venv")},
    )  # fmt: skip
    ours = Path(sys.prefix)
    for link in (*ours.glob("bin/pulumi*"), ours / "pulumi"):
        if link.is_symlink():
            (folder / ".venv" / link.relative_to(ours)).symlink_to(link.readlink())
    return folder


def in_folder(stack: Stack, folder: Path) -> Stack:
    """The same stack as a person has it who works in that folder."""
    environment = {
        name: value for name, value in stack.local.environment.items()
        if name not in ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "VIRTUAL_ENV")
    }  # fmt: skip
    environment["PATH"] = f"{folder / '.venv/bin'}:{environment['PATH']}"
    return Stack(replace(stack.local, checkout=folder, environment=environment))


def test_a_stack_without_access_looks_for_no_plugin(stack: Stack, without_extras: Path):
    said = in_folder(stack, without_extras).run("preview", "--refresh=false", "-v=9", "--logtostderr")

    log = [json.loads(line)["msg"] for line in said.splitlines() if line.startswith('{"time"')]
    assert any("GetRequiredPlugins" in line and "#versions=0" in line for line in log), "the log is the engine's"
    assert [line for line in log if "plugin" in line.lower() and "postgresql" in line] == []


def test_a_stack_with_access_says_what_is_missing_in_one_line(stack: Stack, without_extras: Path):
    stack.configure("access.monitorRole", "watcher")
    stack.configure("monitorPassword", "0123456789abcdef0123", secret=True)

    said = in_folder(stack, without_extras).run("preview", "--refresh=false", expect=1)

    assert "bubble-sync:access.monitorRole needs the package pulumi-postgresql: run `make setup`" in said
    assert "Traceback" not in said
