"""`bubble-sync local`: what a person types, and the line that it prints for Pulumi."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from bubble_sync.local.platform import Platform
from tests.fixtures.stack import CHECKOUT
from tests.stack.conftest import git_status


@pytest.fixture
def run(own_platform: Platform, tmp_path: Path):
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
    line = up.stderr.split("converge it:")[1].strip()
    run("bubble-sync local up")
    converged = run(f"{line} --yes --skip-preview --non-interactive")

    assert "--config-file" in line
    assert 'bubble-sync-processor: "1"' in converged.stdout
    assert git_status() == tree
    for secret in (own_platform.addresses().service_role_key, own_platform.addresses().database_url):
        assert secret not in up.stdout + up.stderr


def test_status_names_logs_and_tells_down_from_up(run):
    assert not json.loads(run("bubble-sync local status --json", expect=1).stdout)["up"]

    run("bubble-sync local up")
    status = json.loads(run("bubble-sync local status --json").stdout)
    signed_up = json.loads(run("bubble-sync local sign-up someone@example.com --json").stdout)
    run("bubble-sync local down")

    assert status["up"]
    assert [part["name"] for part in status["parts"]] == ["postgres", "net_worker", "edge_function"]
    assert set(signed_up) == {"user_id", "host_id", "guest_id", "item_id"}
    assert not Path(status["folder"]).exists()
    run("bubble-sync local status", expect=1)


def test_a_refusal_is_one_line_without_a_traceback(run):
    refused = run("bubble-sync local sign-up someone@example.com", expect=1)

    assert refused.stdout == ""
    assert refused.stderr.startswith("error: no platform in ")
    assert refused.stderr.count("\n") == 1
    assert run("bubble-sync local dance", expect=2).returncode == 2
