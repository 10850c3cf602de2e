"""The stack of a platform is whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.stack import prepare_stack
from tests.fixtures.killing import each_kill
from tests.fixtures.stack import CHECKOUT

#: Leaves what Pulumi leaves that is killed in the creation of a stack.
LOCKING = """#!/bin/sh
test "$1" = stack || exit 0
locks=state/.pulumi/locks/organization/bubble-sync/local
mkdir -p $locks
echo '{"pid": 1, "username": "a", "hostname": "b", "timestamp": "2026-11-29T10:00:00Z"}' > $locks/some.json
"""


def test_a_stack_that_a_kill_has_left_half_made_is_made_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    real = shutil.which("pulumi")
    assert real
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    folder = tmp_path / "platform"
    addresses = Addresses.fresh(folder)

    def prepare() -> None:
        folder.mkdir(exist_ok=True)
        prepare_stack(addresses, CHECKOUT)

    program.write_text(LOCKING)
    program.chmod(0o755)
    assert any(list(folder.rglob("some.json")) for _ in each_kill(folder, prepare)), "a kill left a lock"
    program.unlink()
    program.symlink_to(real)
    prepare()

    assert list(folder.rglob("some.json")) == []
    stack = prepare_stack(addresses, CHECKOUT)
    assert stack.pulumi("config", "get", "bubble-sync:supabaseUrl").stdout.strip() == addresses.endpoint_url
    assert stack.pulumi("cancel", "--yes", config=False).returncode == 0, "Pulumi finds the stack"
