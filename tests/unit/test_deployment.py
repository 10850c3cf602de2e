"""A change of the configuration stays only where `up` has brought it about; else file and database are put back."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bubble_sync.actions.deployment import ConfigChange, deploy
from bubble_sync.config.stacks import Stack
from bubble_sync.errors import Busy, PulumiRefused, Unreachable

SETTINGS = [ConfigChange("retry.active", "false")]


@dataclass(frozen=True)
class Recorded(Stack):
    """A stack whose Pulumi writes what it is told and does nothing else."""

    ran: list[str] = field(default_factory=list)
    refusal: str = ""
    """What it says of an `up`, which then fails."""
    watched: Path | None = None
    """The file that stays as it was while values are set."""

    def pulumi(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        self.ran.append(f"{command[0]} with {self.config_file.read_text()}")
        if command[0] == "config" and self.watched:
            assert self.watched.read_text() == "as it was"
        if command[0] == "up" and self.refusal:
            return subprocess.CompletedProcess(command, 255, "", self.refusal)
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


def test_several_values_come_into_the_file_in_one_step(stack: Recorded):
    """A kill between the key and its name would leave the new key under the old name for anyone's next `up`."""
    changes = [ConfigChange("serviceRoleKey", "a", secret=True), ConfigChange("serviceRoleKeyName", "b")]

    deploy(replace(stack, watched=stack.config_file), changes, [], lambda said: None)

    assert stack.ran == ["config with as it was", "config with changed to a", "up with changed to b"]
    assert [path.name for path in stack.folder.iterdir()] == ["Pulumi.prod.yaml"]


@pytest.mark.parametrize(
    ("holder", "step"),
    [
        (f"root@{socket.gethostname()} (pid {os.getpid()})", "wait for it, or, where it was killed, run"),
        (f"root@{socket.gethostname()} (pid 4194999)", "this process has ended, so run"),
        ("root@elsewhere (pid 4194999)", "wait for it, or, where it was killed, run"),
        ("", "wait for it, or, where it was killed, run"),
    ],
    ids=["a live process", "one that has ended", "one of another machine", "unknown"],
)
def test_a_lock_is_explained_with_its_holder_and_the_way_on(stack: Recorded, holder: str, step: str):
    refusal = "error: the stack is currently locked by 1 lock(s). Either wait or delete the lock file.\n"
    refusal += f"  file:///x.json: created by {holder} at 2026-11-22T02:15:54Z" if holder else ""

    with pytest.raises(Busy) as busy:
        deploy(replace(stack, refusal=refusal), SETTINGS, [], lambda said: None)

    assert f"{step} `pulumi cancel --yes`, then this command again" in str(busy.value)
    assert holder.rpartition("pid ")[2].rstrip(")") in str(busy.value)
    assert "nothing was changed" in str(busy.value)
    assert stack.ran[1:] == ["up with changed to false"], "a second `up` would be refused too"
    assert stack.config_file.read_text() == "as it was"
