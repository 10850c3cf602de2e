"""`bubble-sync local` as a person and a script use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from bubble_sync.cli import main
from bubble_sync.errors import ConfigurationError, PlatformError, Unreachable
from tests.fixtures.stack import CHECKOUT


def bubble_sync(folder, *arguments):
    program = "from bubble_sync.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path):
    for file in ("Pulumi.yaml", "Pulumi.local.yaml"):
        shutil.copy(CHECKOUT / file, tmp_path)
    yield tmp_path
    bubble_sync(tmp_path, "local", "down")


def test_up_status_sign_up_and_down(checkout):
    assert bubble_sync(checkout, "local", "status").returncode == 1
    up = bubble_sync(checkout, "local", "up")
    assert up.returncode == 0, up.stderr
    assert "starting" in up.stderr
    assert "starting" not in up.stdout
    below = checkout / "below"
    below.mkdir()
    status = bubble_sync(below, "local", "status", "--json")
    facts = json.loads(status.stdout)
    assert (status.returncode, status.stderr, facts["up"]) == (0, "", True)
    assert [part["name"] for part in facts["parts"]] == ["postgres", "net_worker", "edge_function"]
    made = json.loads(bubble_sync(checkout, "local", "sign-up", "a@example.test", "--json").stdout)
    assert set(made) == {"user_id", "host_id", "guest_id", "item_id"}
    again = bubble_sync(checkout, "local", "sign-up", "a@example.test")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "error: a@example.test has signed up before: take another address\n"
    assert bubble_sync(checkout, "local", "down").returncode == 0
    assert bubble_sync(checkout, "local", "status").returncode == 1
    gone = bubble_sync(checkout, "local", "down")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr.startswith("error: no platform runs in ")


@pytest.mark.parametrize("command", ["up", "demo"])
def test_what_needs_a_project_says_so_and_starts_nothing(tmp_path, command):
    refused = bubble_sync(tmp_path, "local", command)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1].startswith("error: there is no Pulumi.yaml in ")
    assert not json.loads(bubble_sync(tmp_path, "local", "status", "--json").stdout)["up"]


@pytest.mark.parametrize("command", ["up", "demo"])
def test_without_pulumi_nothing_is_started(checkout, monkeypatch, command):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    refused = bubble_sync(checkout, "local", command)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines() == [
        "error: pulumi is not on PATH: install it (https://www.pulumi.com/docs/install/), "
        "or add the folder it is in to PATH"
    ]
    assert not json.loads(bubble_sync(checkout, "local", "status", "--json").stdout)["up"]


def test_no_command_shows_a_secret(checkout):
    bubble_sync(checkout, "local", "up")
    said = [bubble_sync(checkout, "local", *words) for words in (["up"], ["status"], ["status", "--json"])]
    folder = json.loads(said[2].stdout)["folder"]
    with open(f"{folder}/addresses.json") as file:
        addresses = json.load(file)
    for name in ("password", "service_role_key", "secret_key"):
        assert not any(addresses[name] in each.stdout + each.stderr for each in said)


def test_a_misused_command_exits_2(tmp_path):
    assert bubble_sync(tmp_path, "local", "sideways").returncode == 2
    assert bubble_sync(tmp_path, "local", "sign-up").returncode == 2


def test_the_version_goes_to_stdout(tmp_path):
    said = bubble_sync(tmp_path, "--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.strip()


@pytest.mark.parametrize(
    ("problem", "code"),
    [(PlatformError("mend it"), 1), (ConfigurationError("mend it"), 2), (Unreachable("mend it"), 3)],
)
def test_an_error_is_one_line_and_an_exit_code(capsys, problem, code):
    with pytest.raises(SystemExit) as left, main.Outcome():
        raise problem
    assert left.value.code == code
    assert capsys.readouterr().err == "error: mend it\n"


def test_a_bug_shows_neither_frames_nor_its_text_unless_asked(capsys):
    with pytest.raises(SystemExit) as left, main.Outcome():
        raise KeyError("a secret")
    assert left.value.code == 4
    said = capsys.readouterr().err
    assert "KeyError" in said
    assert "a secret" not in said
    with pytest.raises(KeyError), main.Outcome(debug=True):
        raise KeyError("a secret")
