"""The line that `bubble-sync local up` prints for Pulumi."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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
    line = up.stderr.split("converge it:")[1].strip()
    run("bubble-sync local up")
    converged = run(f"{line} --yes --skip-preview --non-interactive")

    assert "--config-file" in line
    assert 'bubble-sync-processor: "1"' in converged.stdout
    assert git_status() == tree
    for secret in (own_platform.addresses().service_role_key, own_platform.addresses().database_url):
        assert secret not in up.stdout + up.stderr
