"""`tools/setup` says in one line why it cannot go on: the cause, of all that the programs below it print."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
_UV = """\
error: Failed to fetch: `zizmor`
  Caused by: error sending request for url (https://example.com/zizmor.whl)
  Caused by: {cause}

hint: `zizmor` was included because `bubble-sync:dev` depends on it

hint: Consider enabling use of system TLS certificates
"""


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("tunnel error: Tunnel connection failed: 403 Forbidden", "Tunnel connection failed: 403 Forbidden"),
        ("tcp connect error: Connection refused (os error 111)", "Connection refused"),
        ("failed to write to the distribution cache: No space left on device (os error 28)", "No space left on device"),
        ("invalid peer certificate: UnknownIssuer", "Caused by: invalid peer certificate: UnknownIssuer"),
    ],
)
def test_the_cause_is_told_and_nothing_else(tmp_path: Path, cause: str, said: str):
    (tmp_path / "said").write_text(_UV.format(cause=cause))
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\ncat {tmp_path}/said >&2\nexit 2\n')
    uv.chmod(0o755)

    done = subprocess.run(
        ["tools/setup", "lint"], cwd=CHECKOUT, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"setup: uv cannot install the packages: {said}"
    assert len(done.stderr.splitlines()) == 2


def setup(*words: str) -> list[str]:
    done = subprocess.run(["tools/setup", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    return done.stderr.splitlines()


def test_a_project_without_a_lock_file_or_a_folder_is_refused_and_so_is_a_word_too_many(tmp_path: Path):
    missing = f"setup: there is no {tmp_path}/uv.lock: run 'uv lock' there, and commit the file"
    assert setup("client", str(tmp_path)) == [missing]
    assert setup("client", f"{tmp_path}/missing") == [f"setup: there is no folder {tmp_path}/missing"]
    assert setup("tests", str(tmp_path)) == ["usage: tools/setup [client [PROJECT]|tests|lint]"]
    assert not (tmp_path / ".venv").exists()
