"""Our stack, a do-nothing program of the same shape and an empty program, through the same Pulumi CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.measure import Row, Samples, alternate, ratio_row, sample_row, seconds
from bench.workbench import CHECKOUT, Workbench
from bubble_sync.local.stack import LocalStack, prepare_stack

PREVIEW = ("preview", "--refresh=false")
UP = ("up", "--yes")
UP_ALONE = ("up", "--yes", "--skip-preview")
_MARK_OF_SECRETS = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True)
class Baseline:
    """A second project, as the baseline."""

    folder: Path
    environment: dict[str, str]

    def pulumi(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a Pulumi command on the stack `local` of it."""
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
    """Return our stack, never up, on a fresh database."""
    os.environ["PULUMI_HOME"] = str(bench.folder())
    bench.site()
    addresses = bench.addresses.model_copy(update={"folder": bench.folder()})
    return prepare_stack(addresses, CHECKOUT)


def shape_of(stack: LocalStack) -> list[dict[str, Any]]:
    """Read out of a stack's state what the baseline declares: its tree, order and inputs; no secret value."""
    exported = need(stack.pulumi("stack", "export", config=False))
    resources = json.loads(exported)["deployment"]["resources"]
    wanted = [
        one
        for one in resources
        if one["type"] != "pulumi:pulumi:Stack" and not one["type"].startswith("pulumi:providers")
    ]
    return [_shape(one) for one in wanted]


def baseline(bench: Workbench, stack: LocalStack) -> Baseline:
    """Make the do-nothing project, and bring it up."""
    made = _project(bench, stack, "do_nothing")
    (made.folder / "shape.json").write_text(json.dumps(shape_of(stack)))
    need(made.pulumi("up", "--yes", "--skip-preview"))
    return made


def _project(bench: Workbench, stack: LocalStack, name: str) -> Baseline:
    """Lay out a project of this folder, with the environment and the kind of backend of ours."""
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
    """Time commands that find nothing to do."""
    ours = our_stack(bench)
    need(ours.pulumi("up", "--yes", "--skip-preview"))
    nothing = baseline(bench, ours)
    count = len(shape_of(ours)) + 1
    for what, command, goal in (("no-op preview --refresh=false", PREVIEW, 1.15), ("no-op up, with refresh", UP, 1.15)):
        samples = _compare(bench, _running(ours, command), _running(nothing, command))
        yield ratio_row(f"{what}, {count} resources", samples["ours"], samples["baseline"], goal)


def run_over_empty(bench: Workbench) -> Iterator[Row]:
    """Time the same commands over a preview of an empty program, and name where a preview's time goes."""
    ours = our_stack(bench)
    need(ours.pulumi("up", "--yes", "--skip-preview"))
    empty = _project(bench, ours, "empty")
    need(empty.pulumi("up", "--yes", "--skip-preview"))
    for what, command, goal in (
        ("no-op preview --refresh=false", PREVIEW, 1.7),
        ("no-op up --skip-preview, with refresh", UP_ALONE, 2.5),
    ):
        samples = _compare(bench, _running(ours, command), _running(empty, ("preview",)))
        yield ratio_row(f"{what}, over preview of an empty program", samples["ours"], samples["baseline"], goal)
    rounds = [parts(ours) for _ in range(bench.rounds)]
    for name in rounds[0]:
        yield sample_row(f"part of that preview: {name}", [one[name] for one in rounds], "s")


def parts(project: LocalStack) -> dict[str, float]:
    """Take a preview's time apart by the CLI's own log."""
    done = project.pulumi(*PREVIEW, "-v=9", "--logtostderr")
    need(done)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"time"')]
    log = [(datetime.fromisoformat(line["time"][:26].rstrip("Z")), str(line["msg"])) for line in lines]

    def first(*words: str) -> datetime:
        return next(at for at, line in log if all(word in line for word in words))

    marks = {
        "CLI and language host": first("].Run(", "executing"),
        "program: start and import pulumi": first("registering resource", "pulumi:pulumi:Stack"),
        "program: our imports and settings": first("Launching plugin", "(resource)"),
        "provider: start and import pulumi": first("Configure() executing"),
        "provider: our imports": first("].Diff(", "executing"),
    }
    found, before = {}, log[0][0]
    for name, at in marks.items():
        found[name], before = (at - before).total_seconds(), at
    return {**found, "the other resources, and the end": (log[-1][0] - before).total_seconds()}


def _compare(bench: Workbench, ours: Callable[[], str], other: Callable[[], str]) -> Samples:
    sides = {"ours": seconds(ours), "baseline": seconds(other)}
    alternate(sides, 1)  # the first run after a change reads every file
    return alternate(sides, bench.rounds)


def _running(project: LocalStack | Baseline, command: tuple[str, ...]) -> Callable[[], str]:
    return lambda: need(project.pulumi(*command, *(["--expect-no-changes"])))


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
