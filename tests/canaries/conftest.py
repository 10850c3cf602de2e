"""One life for all tests of this folder, its search, and the table at the end of the run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.canaries.life import Secrets, living
from tests.canaries.places import Search, table
from tests.canaries.steps import after_the_server, everything, sample
from tests.canaries.watch import activity, another_user
from tests.faults.conftest import tally  # noqa: F401  its row is in the table of `make faults`

SEARCHED = pytest.StashKey[Search]()


@pytest.fixture(scope="session", params=[False, pytest.param(True, marks=pytest.mark.matrix)], ids=["sample", "whole"])
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether to go every way that a secret might come out, or a sample of them."""
    return bool(request.param)


@pytest.fixture(scope="session")
def search(request: pytest.FixtureRequest, whole: bool) -> Search:
    """Everything that a life left, searched."""
    secrets = Secrets.fresh()
    request.config.stash[SEARCHED] = searched = Search(secrets.every)
    with tempfile.TemporaryDirectory(prefix="bsk-") as name, pytest.MonkeyPatch.context() as patch:
        scratch = Path(name)
        # The server's OS user must enter it, and another user's reader must not matter.
        scratch.chmod(0o755)
        patch.setenv("TMPDIR", name)
        patch.setattr(tempfile, "tempdir", None)
        patch.setenv("PULUMI_HOME", str(scratch / "home"))
        with living(scratch, secrets, searched) as life, tempfile.TemporaryDirectory(dir=scratch.parent) as seen:
            states = life.platform.folder / "pulumi" / "state"
            with another_user(searched, Path(seen)), activity(searched, life.addresses.admin_url, states):
                (everything if whole else sample)(life)
            life.stop_and_look()
            after_the_server(life)
    return searched


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    search = config.stash.get(SEARCHED, None)
    if search is not None:
        terminalreporter.section("canaries")
        for line in table(search):
            terminalreporter.write_line(line)
