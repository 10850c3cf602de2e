"""On call with a database URL alone: no project, no stack file, no Pulumi and no passphrase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.fixtures.history import item
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack
from tests.fixtures.troubles import stored
from tests.fixtures.wheel import Installed

BY_URL = ("--database-url-env", DATABASE_URL_VARIABLE)


def test_three_troubles_are_found_and_every_command_names_the_next_one_in_full(converged: Stack, site: Site):
    assert json.loads(converged.ours("doctor", *BY_URL, "--json", alone=True).stdout)["findings"] == []
    site.by_hand(
        "update cron.job set active = false where jobname = 'bubble-sync-retry'",
        "drop function public.invoke_bubble_sync_processor()",
        *stored("supabase_url", "https://zyxwvutsrqponmlkjihg.supabase.co"),
    )
    item(site, "2 hours", operation="UPDATE", status="failed")

    found = converged.ours("doctor", *BY_URL, alone=True)

    assert found.returncode == 1
    for check in ("job_inactive", "function_missing", "secret_"):
        assert f"[{check}" in found.stdout
    assert f"`bubble-sync doctor --database-url-env {DATABASE_URL_VARIABLE}` again" in found.stdout
    assert "pulumi up --stack local" in found.stdout
    for command, code in (("status", 1), ("verify", 1), ("runs", 1), ("failures", 1), ("trace --latest", 1)):
        told = converged.ours(*command.split(), *BY_URL, alone=True)
        assert told.returncode == code, told.stdout + told.stderr
        assert "Traceback" not in told.stderr
    page = converged.ours("report", "--html", "/dev/null", *BY_URL, alone=True)
    assert "is not a file" in page.stderr, "and it has read the stack before"


def test_a_pause_is_known_at_once_and_leaves_no_drift(converged: Stack):
    converged.sync("pause", "--reason", "a move", "--job", "retry")

    paused = converged.ours("status", *BY_URL, "--json", alone=True)
    assert json.loads(paused.stdout)["pauses"] == ["job bubble-sync-retry is paused (a move)"]
    converged.expect_no_changes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--database-url-env", "postgresql://postgres:hunter2@h/postgres"),
            "--database-url-env: is not the name of an",
        ),
        (
            ("--database-url-env", "NOT_SET"),
            "the environment variable NOT_SET, named by --database-url-env, is not set",
        ),
        ((*BY_URL, "--config-file", "x"), "leave out --config-file"),
        ((*BY_URL, "--all-stacks"), "leave out --stack, --config-file and --database-url-env"),
        ((*BY_URL, "--stack", "prod"), "holds no stack prod, but local: choose one with --stack"),
    ],
)
def test_what_cannot_be_used_is_one_line(converged: Stack, options: tuple[str, ...], told: str):
    done = converged.ours("status", *options, alone=True)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr
    assert "hunter2" not in done.stderr


def test_the_stack_of_the_shell_is_not_the_one_of_the_url(converged: Stack):
    assert converged.ours("failures", *BY_URL, alone=True, PULUMI_STACK="prod").returncode == 0


@pytest.mark.matrix
def test_the_wheel_alone_is_enough(
    converged: Stack, installed: Installed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv(DATABASE_URL_VARIABLE, converged.local.environment[DATABASE_URL_VARIABLE])

    done = installed.run("bubble-sync", "doctor", *BY_URL, "--json", folder=tmp_path)

    assert (done.returncode, json.loads(done.stdout)["stack"]) == (0, "local"), done.stderr
    assert list(tmp_path.iterdir()) == []
