"""What the tests of whole commands share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fixtures.stack import CHECKOUT, Stack, git


def git_status() -> str:
    """Say which of Pulumi's files git sees changed in the checkout."""
    command = ["git", "status", "--porcelain", "Pulumi*"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(converged: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the configuration file as a git checkout with an upstream."""
    (tmp_path / "gitconfig").write_text(
        "[user]\nname = a\nemail = a@b\n[safe]\ndirectory = *\n[init]\ndefaultBranch = main\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    folder, upstream = converged.local.config_file.parent, tmp_path / "upstream.git"
    git(tmp_path, "init", "-q", "--bare", str(upstream))
    git(folder, "init", "-q")
    git(folder, "add", "Pulumi.local.yaml")
    git(folder, "commit", "-qm", "a stack")
    git(folder, "remote", "add", "origin", str(upstream))
    git(folder, "push", "-qu", "origin", "main")
    # What the commands of the stack get was fixed before.
    object.__setattr__(
        converged.local,
        "environment",
        {**converged.local.environment, "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")},
    )
    return folder
