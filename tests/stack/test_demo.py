"""The demo must be able to fail: it proves that cron did it, and nobody else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import psycopg

from bubble_sync.local.platform import Platform
from tests.fixtures.stack import CHECKOUT
from tests.stack.conftest import git_status


def run_demo(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bubble-sync", "local", "demo", *options], cwd=CHECKOUT, env={**os.environ, "PULUMI_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_tells_its_story_in_one_screen(tmp_path: Path, own_platform: Platform):
    done = run_demo(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(re.match(r"(\w+(?: \w+)?) {2,}(.*)", line).groups() for line in done.stdout.splitlines() if line)
    assert list(told) == [
        "set up", "signed up", "queued", "cron ran", "requested", "finished", "in time", "verified", "report",
    ]  # fmt: skip
    assert re.search(r"PostgreSQL \d+\.\d+, pg_cron 1\.\d", told["set up"])
    assert re.fullmatch(r"T\+\d+\.\d s  run \d+ of job 1", told["cron ran"])
    assert told["finished"].endswith("completed; 3 of 3 bubble_ids are filled")
    assert told["verified"] == "10 of 10 checks are ok"
    assert done.stderr.endswith("next: `KEEP=1 make demo` leaves the platform running, and prints how to ask it\n")
    assert not own_platform.folder.exists()


def test_with_wake_the_insert_itself_completes_the_item(tmp_path: Path, own_platform: Platform):
    done = run_demo(tmp_path, "--wake")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^woken +T\+\d+\.\d s  the insert queued the request$", done.stdout, re.M)
    assert re.search(r"^finished .* completed; 3 of 3 bubble_ids are filled$", done.stdout, re.M)
    assert re.search(r"^in time .*; the target is at most 2 s: \w+$", done.stdout, re.M)
    assert re.search(r"^verified +\d+ of 10 checks are ok", done.stdout, re.M)
    assert not own_platform.folder.exists()


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
    assert re.search(
        r"^NOT PROVEN +the item is pending, and no succeeded run of the job completed it", done.stdout, re.M
    )
    assert "no request came" in done.stdout
    assert "$ bubble-sync verify --stack local\n" in done.stdout
    assert "\nnot proven  the Edge Function answers that it worked\n" in done.stdout
    assert "\n$ bubble-sync trace --latest --stack local\nSIGNUP_ATOMIC of record " in done.stdout
    assert f" {CHECKOUT / 'report.html'}\n" in done.stdout
    assert "0 of 0 sign-ups took less than 75 s" in (CHECKOUT / "report.html").read_text()
    assert status.up, "a platform that ran before is left running"
    assert git_status() == tree, "the demo leaves the checkout as it was"
    assert "uv run bubble-sync local down" in done.stderr
