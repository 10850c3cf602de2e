"""The demo must be able to fail: it proves that cron did it, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psycopg

from bubble_sync.local.platform import Platform
from tests.fixtures.stack import CHECKOUT
from tests.stack.conftest import git_status


def run_demo(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bubble-sync", "local", "demo"], cwd=CHECKOUT, env={**os.environ, "PULUMI_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_ends_with_a_checklist_that_is_ok_throughout_and_the_way_of_the_sign_up(
    tmp_path: Path, own_platform: Platform
):
    done = run_demo(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    _, verified, traced = done.stdout.split("\n$ bubble-sync ")
    assert verified.startswith("verify --stack local\n")
    assert verified.endswith("\n10 of 10 are ok\n")
    assert traced.startswith("trace --latest --stack local\n")
    assert ", on time; promised are 1-2 minutes" in traced
    assert not own_platform.status().up


def test_with_pg_cron_stopped_the_demo_fails_and_says_which_job_did_not_run(tmp_path: Path, own_platform: Platform):
    addresses = own_platform.start()
    with psycopg.connect(addresses.admin_url) as connection:
        launcher = "select pid from pg_stat_activity where backend_type = 'pg_cron launcher'"
        (pid,) = connection.execute(launcher).fetchone() or (None,)
    assert pid is not None, "pg_cron runs before it is stopped"
    tree = git_status()
    os.kill(pid, signal.SIGSTOP)

    try:
        done = run_demo(tmp_path)
        status = own_platform.status()
    finally:
        os.kill(pid, signal.SIGCONT)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT PROVEN: the item is pending, and no succeeded run of job 1 completed it" in done.stdout
    assert "no request came" in done.stdout
    assert "$ bubble-sync verify --stack local\n" in done.stdout
    assert "\nnot proven  the Edge Function answers with 2xx\n" in done.stdout
    assert "\n$ bubble-sync trace --latest --stack local\nSIGNUP_ATOMIC of record " in done.stdout
    assert done.stdout.splitlines()[-1] == str(CHECKOUT / "report.html")
    assert "0 of 0 sign-ups took less than 75 s" in (CHECKOUT / "report.html").read_text()
    assert status.up, "a platform that ran before is left running"
    assert git_status() == tree, "the demo leaves the checkout as it was"
    assert "uv run bubble-sync local down" in done.stderr
