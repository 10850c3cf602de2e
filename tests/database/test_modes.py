"""A fixed sample of the database tests in every other mode; `make test-modes` runs them all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fixtures.modes import MODES
from tests.fixtures.stack import CHECKOUT


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "hosted"])
def test_the_life_of_every_kind_holds_in_each_mode(mode: str):
    sample = "tests/database/test_converging.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", sample, "--database-mode", mode]

    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
