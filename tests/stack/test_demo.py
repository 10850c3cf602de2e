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


def test_with_pg_cron_stopped_the_demo_fails_and_says_which_job_did_not_run(own_platform: Platform, tmp_path: Path):
    addresses = own_platform.start()
    with psycopg.connect(addresses.admin_url) as connection:
        launcher = "select pid from pg_stat_activity where backend_type = 'pg_cron launcher'"
        (pid,) = connection.execute(launcher).fetchone() or (None,)
    assert pid is not None, "pg_cron runs before it is stopped"
    tree = git_status()
    os.kill(pid, signal.SIGSTOP)

    try:
        environment = {**os.environ, "PULUMI_HOME": str(tmp_path)}
        demo = ["bubble-sync", "local", "demo"]
        done = subprocess.run(demo, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
        status = own_platform.status()
    finally:
        os.kill(pid, signal.SIGCONT)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT PROVEN: the item is pending, and no succeeded run of job 1 completed it" in done.stdout
    assert "no request came" in done.stdout
    assert status.up, "a platform that ran before is left running"
    assert git_status() == tree, "the demo leaves the checkout as it was"
    assert "uv run bubble-sync local down" in done.stderr
