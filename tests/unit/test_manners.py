"""What a person at a terminal, a pipe and a program get: errors, exit codes, help; asked as they ask."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bubble_sync.cli import main
from bubble_sync.config import stacks
from bubble_sync.config.stacks import CONFIG_VARIABLE, run_pulumi
from bubble_sync.errors import NotFound, Unreachable
from tests.unit.test_stacks import shown

COMMANDS = ("verify", "status", "doctor", "trace", "run-now", "drift", "config")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: bubble-sync\n")
    return tmp_path


def bubble_sync(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", CONFIG_VARIABLE: shown(), **variables}
    return subprocess.run(
        ["bubble-sync", *command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip


def in_bash(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, CONFIG_VARIABLE: shown()}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def pulumi_that(project: Path, does: str) -> str:
    """Put an emulator for Pulumi into the project; return the PATH that finds it first."""
    (project / "pulumi").write_text(f"#!/bin/sh\n{does}\n")
    (project / "pulumi").chmod(0o755)
    return f"{project}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("status", "--hel"), "no such option: --hel (did you mean --help). See `bubble-sync status --help`"),
        (("stauts",), "no such command 'stauts'. Did you mean 'status'? See `bubble-sync --help`"),
        (("key",), "missing command; choose one of status, probe, rotate, set-function. See `bubble-sync key --help`"),
        (("runs", "--limit", "many"), "invalid value for '--limit': "),
        (("pause",), "missing option '--reason' / '-r'. See `bubble-sync pause --help`"),
    ],
)
def test_a_usage_error_is_one_line_like_every_other(project: Path, command: tuple[str, ...], said: str):
    done = bubble_sync(project, *command)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {said}")


@pytest.mark.parametrize("command", [("status", "--nope"), ("trace", "a", "--latest"), ("verify", "--stack", "")])
def test_with_json_an_error_is_json_too_in_one_shape(project: Path, command: tuple[str, ...]):
    done = bubble_sync(project, *command, "--json")

    told = json.loads(done.stdout)["error"]
    assert (done.returncode, told["exit_code"], list(told)) == (2, 2, ["exit_code", "kind", "message"])
    assert done.stderr == f"error: {told['message']}\n"


@pytest.mark.parametrize(
    ("problem", "code", "kind"),
    [
        (Unreachable("x"), 3, "unreachable"), (NotFound("x"), 1, "not found"), (KeyError("secret"), 4, "bug"),
        (OSError(28, "No space left on device"), 2, "configuration"),
        (PermissionError(13, "Permission denied", "report.md"), 2, "configuration"), (OSError("secret"), 4, "bug"),
    ],
)  # fmt: skip
def test_the_shape_holds_for_what_is_not_reached_not_found_or_broken(capsys, problem: Exception, code: int, kind: str):
    with pytest.raises(SystemExit) as left, main.Outcome(as_json=True):
        raise problem

    told = json.loads(capsys.readouterr().out)["error"]
    assert (left.value.code, told["exit_code"], told["kind"]) == (code, code, kind)
    assert "secret" not in told["message"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_stack_is_never_the_selected_one(project: Path, command: str):
    more = {"trace": ("--latest",), "run-now": ("--yes",)}.get(command, ())

    done = bubble_sync(project, command, *more, "--stack", "")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --stack is empty")


@pytest.mark.parametrize("command", ["requeue", "discard"])
@pytest.mark.parametrize("option", ["--error", "--operation"])
def test_an_empty_filter_selects_no_item(project: Path, command: str, option: str):
    done = bubble_sync(project, command, option, "", "--dead", "--yes", "--stack", "prod")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {option} is empty: name a text, or leave {option} out\n"


def test_the_bare_command_takes_a_stack_and_passes_none_on_unseen(project: Path):
    bare = bubble_sync(project, "--stack", "prod")
    assert (bare.returncode, bare.stderr.count("\n")) == (2, 1)
    assert "TEST_DATABASE_URL" in bare.stderr

    behind = bubble_sync(project, "--stack", "prod", "run-now", "--yes")
    assert behind.returncode == 2
    assert behind.stderr.startswith(
        "error: --stack and --config-file go behind the command: bubble-sync run-now --stack"
    )


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_groups_the_commands_fits_and_draws_no_boxes(project: Path, option: str):
    lines = bubble_sync(project, option).stdout.splitlines()

    sections = [line for line in lines if line.endswith(":") and not line.startswith((" ", "Usage", "Options"))]
    assert sections == ["Is it working:", "What happened:", "Act:", "Deploy:", "Local:"]
    assert lines[lines.index("Is it working:") + 1].split()[0] == "verify"
    assert max(map(len, lines)) <= 80
    assert not set("".join(lines)) & set("╭│╰")


@pytest.mark.parametrize("command", [("status",), ("key",), ("key", "rotate"), ("local", "demo"), ("diff",)])
def test_a_flag_takes_no_value_in_help_and_nothing_is_cut(project: Path, command: tuple[str, ...]):
    said = bubble_sync(project, *command, "-h")

    assert said.returncode == 0
    assert "<bool>" not in said.stdout
    assert "..." not in said.stdout.partition("\n")[2].replace("sb_secret_...", "")


def test_a_closed_pipe_changes_no_exit_code(project: Path):
    read_nothing = in_bash(project, "set -o pipefail; bubble-sync config --stack prod | true")
    assert (read_nothing.returncode, read_nothing.stderr) == (0, "")

    both = in_bash(project, "bubble-sync config --stack '' 2>&1 | true; exit ${PIPESTATUS[0]}")
    assert both.returncode == 2


@pytest.mark.parametrize("command", ["config", "config --json", "init made --stacks a --forge none --backend ''"])
def test_a_stream_that_is_closed_from_the_start_changes_no_exit_code(project: Path, command: str):
    named = "--stack prod" if command.startswith("config") else ""

    for streams in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = in_bash(project, f"bubble-sync {command} {named} {streams} && rm -rf made")
        assert (done.returncode, done.stderr) == (0, ""), streams


def test_a_full_disk_is_no_bug_of_ours(project: Path):
    done = in_bash(project, "bubble-sync config --stack prod > /dev/full")

    assert done.returncode == 2
    assert done.stderr == (
        "error: standard output cannot be written (No space left on device): make room, or send it elsewhere\n"
    )


@pytest.mark.parametrize(
    "command",
    ["status", "local status", "doctor --all-stacks", "init --stacks a --forge none --backend ''"],
    ids=["status", "local", "all stacks", "init"],
)
def test_a_folder_that_was_removed_is_named(project: Path, command: str):
    (project / "gone").mkdir()

    done = in_bash(project / "gone", f"rmdir ../gone; bubble-sync {command}")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the current folder was removed: go to another folder, then run again\n"


@pytest.mark.parametrize(
    ("command", "variables", "named"),
    [
        (("status", "--stack", "prod", "--config-file", "c" * 300), {}, "c" * 300),
        (("ci", "drift"), {"GITHUB_STEP_SUMMARY": "no/such/file"}, "no/such/file"),
    ],
    ids=["a name that is too long", "a folder that is not there"],
)
def test_a_path_that_the_system_refuses_is_named(
    project: Path, command: tuple[str, ...], variables: dict[str, str], named: str
):
    (project / "Pulumi.prod.yaml").touch()

    done = bubble_sync(project, *command, PATH=pulumi_that(project, "exit 1"), **variables)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {named} cannot be used (")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b'{"resourcePlans": {', b"\xff\x00", b"[]"])
def test_a_plan_that_is_not_whole_is_named_before_anything_runs(project: Path, content: bytes):
    (project / "plan-prod.json").write_bytes(content)

    done = bubble_sync(project, "ci", "apply", "--stack", "prod", PATH=pulumi_that(project, "touch run"))

    assert (done.returncode, done.stdout, (project / "run").exists()) == (2, "", False)
    assert done.stderr == (
        f"error: the plan {project}/plan-prod.json is damaged or not written to its end: run `bubble-sync ci plan "
        "--stack prod` again\n"
    )


def test_a_ctrl_c_is_130_without_a_traceback_and_ends_pulumi(project: Path):
    path = pulumi_that(project, "trap 'touch ended; exit 1' INT; touch began; while :; do sleep 0.1; done")
    environment = {**os.environ, "PATH": path}
    environment.pop(CONFIG_VARIABLE, None)
    running = subprocess.Popen(
        ["bubble-sync", "config", "--stack", "prod"], cwd=project, env=environment, stderr=subprocess.PIPE, text=True
    )
    while not (project / "began").exists():
        assert running.poll() is None
        time.sleep(0.05)

    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)

    assert (running.returncode, said.strip()) == (130, "")
    assert (project / "ended").exists()


def test_until_errors_are_dealt_with_nothing_slow_is_imported():
    program = (
        "import sys; import bubble_sync.cli.main; print([m for m in ('typer', 'pydantic', 'rich') if m in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_a_pulumi_that_hangs_is_ended_and_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stacks, "_ANSWERS_WITHIN_SECONDS", 0.2)
    path = pulumi_that(project, "exec sleep 60")

    done = run_pulumi(["config", "--json"], project, {"PATH": path})

    assert done.returncode == 124
    assert stacks.complaint(done) == "`pulumi config` did not end within 0.2 s: is its backend reachable?"


def test_the_error_of_a_resource_counts_before_the_stacks_that_the_command_failed():
    stack = "pulumi:pulumi:Stack (p-s):\n  warning: the key expires\n  error: update failed\n"
    resource = "pulumi-python:dynamic/bubble_sync:CronJob (sync-jobs-a):\n  error: Busy: converging job a\n"

    assert stacks.complaint(subprocess.CompletedProcess([], 1, stack + resource, "")) == "Busy: converging job a"
    assert stacks.complaint(subprocess.CompletedProcess([], 1, stack, "")) == "update failed"


def test_without_pulumi_it_is_two_and_names_make_in_a_checkout_alone(project: Path):
    python = str(Path(sys.executable).parent)
    said = []
    for folder in ("nowhere", "tools"):
        (project / folder).mkdir()
        (project / folder / "setup").touch()
        done = in_bash(project, f"env -u {CONFIG_VARIABLE} PATH=/nonexistent {python}/bubble-sync status --stack prod")
        assert done.returncode == 2
        said.append("make" in done.stderr)

    assert said == [False, True]
