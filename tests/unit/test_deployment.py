"""A change of the configuration stays only where `up` has brought it about; else file and database are put back."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bubble_sync.actions.deployment import ConfigChange, deploy
from bubble_sync.config.stacks import Stack
from bubble_sync.errors import PulumiRefused, Unreachable

SETTINGS = [ConfigChange("retry.active", "false")]


@dataclass(frozen=True)
class Recorded(Stack):
    """A stack whose Pulumi writes what it is told and does nothing else."""

    ran: list[str] = field(default_factory=list)

    def pulumi(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        self.ran.append(f"{command[0]} with {self.config_file.read_text()}")
        if command[0] == "config":
            self.config_file.write_text(f"changed to {given}")
        return subprocess.CompletedProcess(command, 0, "done", "")


@pytest.fixture
def stack(tmp_path: Path) -> Recorded:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("as it was")
    return Recorded("prod", tmp_path, file, {}, ())


def test_what_up_has_brought_about_stays(stack: Recorded):
    assert deploy(stack, SETTINGS, [], lambda said: None, lambda: "") == "done"

    assert stack.ran == ["config with as it was", "up with changed to false"]
    assert stack.config_file.read_text() == "changed to false"


def test_what_a_program_does_not_take_from_the_configuration_is_put_back(stack: Recorded):
    with pytest.raises(
        PulumiRefused, match=r"^`pulumi up` succeeded without effect, and everything is as it was: the job still runs$"
    ):
        deploy(stack, SETTINGS, [], lambda said: None, lambda: "the job still runs")

    assert stack.ran == ["config with as it was", "up with changed to false", "up with as it was"]
    assert stack.config_file.read_text() == "as it was"


def test_what_cannot_be_looked_at_is_put_back(stack: Recorded):
    def unreachable() -> str:
        raise Unreachable("nothing listens there")

    with pytest.raises(PulumiRefused, match=r"^`pulumi up` succeeded, but its effect could not be read, .*: noth"):
        deploy(stack, SETTINGS, [], lambda said: None, unreachable)

    assert stack.config_file.read_text() == "as it was"
