"""The line that `bubble-sync local up` prints for Pulumi."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from bubble_sync.local.platform import Platform
from tests.fixtures.stack import CHECKOUT
from tests.stack.conftest import git_status


@pytest.fixture
def run(tmp_path: Path, own_platform: Platform):
    """Run a command line in the checkout, on a platform of its own."""

    def run(command: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PULUMI_HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", "-c", command], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return run


def test_up_prints_the_line_that_converges_it_and_leaves_the_tracked_file_alone(run, own_platform: Platform):
    tree = git_status()

    up = run("bubble-sync local up")
    line = up.stderr.split("converge it:")[1].strip().splitlines()[0]
    run("bubble-sync local up")
    converged = run(f"{line} --yes --skip-preview --non-interactive")

    assert "--config-file" in line
    assert 'bubble-sync-processor: "1"' in converged.stdout
    assert git_status() == tree
    for secret in (own_platform.addresses().service_role_key, own_platform.addresses().database_url):
        assert secret not in up.stdout + up.stderr


def test_every_printed_line_asks_the_running_platform_without_another_option(
    run, own_platform: Platform, tmp_path: Path
):
    run("bubble-sync local up")
    never_up = run("bubble-sync verify --stack local", expect=1)
    (line,) = re.findall(r"^next: `(.*)`$", never_up.stdout, re.MULTILINE)
    assert f"`bubble-sync diff --stack local`, then `{line}`" in never_up.stderr
    run(f"{line} --yes --skip-preview --non-interactive")
    own_platform.sign_up("asker@example.test")
    status = run("bubble-sync local status")

    asked = re.findall(r"^  uv run (bubble-sync .* --stack local)$", status.stderr, re.MULTILINE)

    assert [line.split()[1] for line in asked] == ["verify", "trace", "report"]
    assert "\n  uv run bubble-sync local sign-up ada@example.com\nask it:\n" in status.stderr
    # Whether the minute of the sign-up has come yet decides the exit code.
    assert "stack local" in run(f"{asked[0]}; true").stdout
    assert "SIGNUP_ATOMIC of record" in run(f"{asked[1]}; true").stdout
    run(asked[2].replace("report.html", str(tmp_path / "report.html")))
    assert "SIGNUP_ATOMIC      1" in run("bubble-sync status --stack local; true").stdout
    assert status.stderr.splitlines()[-1] == "  uv run bubble-sync local down"


def test_with_claim_the_edge_function_claims_its_items(run, own_platform: Platform):
    run("bubble-sync local up --claim")
    made = own_platform.sign_up("claimed@example.test")
    own = own_platform.addresses()

    answer = httpx.post(
        f"{own.endpoint_url}/functions/v1/bubble_sync",
        json={"action": "process_queue_data_api"},
        headers={"apikey": own.secret_key},
        trust_env=False,
    ).json()

    assert answer["claimed"] is True
    assert answer["data"]["items"] == [{"id": made.item_id, "status": "completed"}]
