"""What the tests of whole commands share."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bubble_sync.local.platform import Platform
from tests.fixtures.stack import CHECKOUT


def git_status() -> str:
    """Say which of Pulumi's files git sees changed in the checkout."""
    command = ["git", "status", "--porcelain", "Pulumi*"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def own_platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The checkout's platform, in a temporary directory of its own."""
    with tempfile.TemporaryDirectory(prefix="bsd-") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        platform = Platform.for_checkout(CHECKOUT)
        yield platform
        platform.remove()
