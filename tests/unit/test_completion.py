"""What the shell completes, asked as shells ask; and the options that stand beside the commands."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml", "Pulumi.staging.yaml", "Pulumi..yaml"):
        (tmp_path / name).write_text("no: [YAML\n")
    (tmp_path / "deep").mkdir()
    return tmp_path


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip


def in_bash(folder: Path, *typed: str) -> list[str]:
    """Ask with the variables that the script for bash sets; the last word is what the cursor is at."""
    asked = {"_BUBBLE_SYNC_COMPLETE": "complete_bash", "COMP_CWORD": str(len(typed))}
    done = run(folder, "bubble-sync", COMP_WORDS=" ".join(("bubble-sync", *typed)), **asked)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_commands_and_options_are_completed(project: Path):
    assert {"pause", "status", "key"} <= set(in_bash(project, ""))
    assert in_bash(project, "key", "ro") == ["rotate"]
    assert "--until" in in_bash(project, "pause", "--")
    assert in_bash(project, "pause", "--job", "pro") == ["processor"]


@pytest.mark.parametrize("typed", [("status", "--stack"), ("status", "-s"), ("key", "rotate", "--stack")])
def test_the_stacks_of_the_project_are_completed_without_asking_pulumi(project: Path, typed: tuple[str, ...]):
    assert in_bash(project / "deep", *typed, "") == ["prod", "staging"]
    assert in_bash(project, *typed, "st") == ["staging"]


def test_where_there_is_nothing_to_read_nothing_is_completed_and_nothing_said(tmp_path: Path):
    assert in_bash(tmp_path, "status", "--stack", "") == []
    gone = "mkdir gone && cd gone && rmdir ../gone && exec bubble-sync"
    asked = {"_BUBBLE_SYNC_COMPLETE": "complete_bash", "COMP_WORDS": "bubble-sync status --stack ", "COMP_CWORD": "3"}
    done = run(tmp_path, "bash", "-c", gone, **asked)
    assert (done.returncode, done.stdout.strip(), "Traceback" in done.stderr) == (0, "", False)


def test_a_real_bash_completes_with_the_script_that_is_shown(project: Path):
    line = "bubble-sync status --stack "
    done = run(
        project, "bash", "--norc", "-c",
        'source <(bubble-sync --show-completion); complete -p bubble-sync; COMP_WORDS=(bubble-sync status --stack "");'
        f'COMP_CWORD=3 COMP_LINE="{line}"; _bubble_sync_completion bubble-sync; echo "${{COMPREPLY[@]}}"',
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "complete -o default -F _bubble_sync_completion bubble-sync", "prod staging",
    ]  # fmt: skip


def test_the_version_is_told(tmp_path: Path):
    done = run(tmp_path, "bubble-sync", "--version")

    assert (done.returncode, done.stdout.strip()) == (0, version("bubble-sync"))
