"""Our stack, a do-nothing program of the same shape and an empty program, through the same Pulumi CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Row, alternate, seconds
from bench.workbench import CHECKOUT, Workbench
from bubble_sync.local.stack import LocalStack, prepare_stack
from tests.fixtures.platform import reset

PREVIEW = ("preview", "--refresh=false")
UP = ("up", "--yes")
UP_ALONE = ("up", "--yes", "--skip-preview")
_MARK_OF_SECRETS = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True)
class Baseline:
    """A Pulumi project to compare with."""

    folder: Path
    environment: dict[str, str]

    def pulumi(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a Pulumi command on its stack `local`."""
        return subprocess.run(
            ["pulumi", *command, "--stack", "local", "--non-interactive"],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def need(done: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a command that must succeed."""
    if done.returncode != 0:
        raise RuntimeError(f"{done.args} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def our_stack(bench: Workbench) -> LocalStack:
    """Return our stack, up, on a fresh database."""
    os.environ["PULUMI_HOME"] = str(bench.folder())
    reset(bench.addresses)
    addresses = bench.addresses.model_copy(update={"folder": bench.folder()})
    stack = prepare_stack(addresses, CHECKOUT)
    need(stack.pulumi(*UP_ALONE))
    return stack


def _shape_of(stack: LocalStack) -> list[dict[str, Any]]:
    """Read what the baseline declares from a stack's state: tree, order and inputs, without secret values."""
    exported = need(stack.pulumi("stack", "export", config=False))
    resources = json.loads(exported)["deployment"]["resources"]
    return [_shape(one) for one in resources if not one["type"].startswith(("pulumi:pulumi:Stack", "pulumi:providers"))]


def _project(bench: Workbench, stack: LocalStack, name: str) -> Baseline:
    """Copy a project from this folder; environment and kind of backend are those of our stack."""
    folder = bench.folder()
    shutil.copytree(Path(__file__).with_name(name), folder, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(CHECKOUT / ".venv")
    (folder / "pyproject.toml").write_text('[project]\nname = "baseline"\nversion = "0"\n')
    (folder / "state").mkdir()
    # The virtual environment is the checkout's: nothing may bring it in line with this folder.
    added = {"PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "UV_NO_SYNC": "1"}
    made = Baseline(folder, {**stack.environment, **added})
    need(made.pulumi("stack", "init"))
    return made


def run(bench: Workbench) -> Iterator[Row]:
    """No-op preview and up, over a do-nothing program of the same shape."""
    ours = our_stack(bench)
    shape = _shape_of(ours)
    nothing = _project(bench, ours, "do_nothing")
    (nothing.folder / "shape.json").write_text(json.dumps(shape))
    need(nothing.pulumi(*UP_ALONE))
    count = len(shape) + 1
    for what, command, goal in (("no-op preview --refresh=false", PREVIEW, 1.15), ("no-op up, with refresh", UP, 1.15)):
        yield _compare(bench, f"{what}, {count} resources", _running(ours, command), _running(nothing, command), goal)


def run_over_empty(bench: Workbench) -> Iterator[Row]:
    """No-op preview and up, over a preview of an empty program."""
    ours = our_stack(bench)
    empty = _project(bench, ours, "empty")
    need(empty.pulumi(*UP_ALONE))
    for what, command, goal in (
        ("no-op preview --refresh=false", PREVIEW, 1.7),
        ("no-op up --skip-preview, with refresh", UP_ALONE, 2.5),
    ):
        line = f"{what}, over preview of an empty program"
        yield _compare(bench, line, _running(ours, command), _running(empty, ("preview",)), goal)


def _compare(bench: Workbench, what: str, ours: Callable[[], float], other: Callable[[], float], goal: float) -> Row:
    samples = alternate({"ours": ours, "baseline": other}, bench.rounds)
    return Row(what, samples["ours"], samples["baseline"], goal)


def _running(project: LocalStack | Baseline, command: tuple[str, ...]) -> Callable[[], float]:
    return seconds(lambda: need(project.pulumi(*command, "--expect-no-changes")))


def _shape(resource: dict[str, Any]) -> dict[str, Any]:
    inputs = {key: value for key, value in resource.get("inputs", {}).items() if key != "__provider"}
    secrets = [key for key, value in inputs.items() if isinstance(value, dict) and _MARK_OF_SECRETS in value]
    return {
        "name": _name(resource["urn"]),
        "type": resource["type"],
        "custom": resource["custom"],
        "parent": _name(resource.get("parent", "")),
        "after": [_name(urn) for urn in resource.get("dependencies", [])],
        "inputs": {**inputs, **dict.fromkeys(secrets, "x" * 40)},
        "secrets": secrets,
    }


def _name(urn: str) -> str:
    return urn.split("::")[-1]
