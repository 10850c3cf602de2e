"""Each field that a hand can change: found by Pulumi's preview and by `bubble-sync drift`, named alone, and repaired.

`make test` takes the first round, with a mutation of every kind of object; what `up` refuses, and all the rest, is
played on the database alone there (tests/database/test_drift.py). `make drift-matrix` takes all, and then counts false
alarms in quiet rounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from bubble_sync.compare.drift import StackStatus, check_stack
from bubble_sync.config.stacks import locate_stack
from tests.fixtures.dispatching import TABLE
from tests.fixtures.mutations import ABSENT, Mutation, refused, rounds
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack

QUIET_ROUNDS, THROUGH_THE_COMMAND_LINE = 200, 3
JOBIDS = "select jobname::text as name, jobid::text from cron.job order by jobid"


class Matrix:
    """One stack, what is done to it, and what was found and not found."""

    def __init__(self, stack: Stack, site: Site) -> None:
        self.stack, self.site = stack, site
        self.mutations = self.found = self.false_alarms = 0
        self.wrong: list[str] = []

    def play(self, mutations: Sequence[Mutation]) -> None:
        """Change every object of a round at once, and hold both commands against what was changed."""
        for mutation in mutations:
            self.site.by_hand(mutation.sql)
        expected = {(one.object, one.field) for one in mutations if one.field}
        expected |= {brought for one in mutations for brought in one.brings}
        by_preview, by_drift = self.previewed(), self.drifted()
        self.mutations += len(mutations)
        for mutation in mutations:
            if self.both_found(mutation, by_preview, by_drift):
                self.found += 1
            else:
                self.wrong.append(f"{mutation}: {by_preview} {by_drift}")
        self.alarm((by_preview | by_drift) - expected)

    def both_found(self, mutation: Mutation, *found: set[tuple[str, str]]) -> bool:
        """Say whether every command names just this field of the object, or nothing where it is no drift."""
        wanted = {(mutation.object, mutation.field)} if mutation.field else set()
        return all({one for one in each if one[0] == mutation.object} == wanted for each in found)

    def quiet(self, found: set[tuple[str, str]]) -> None:
        self.alarm(found)

    def alarm(self, false: set[tuple[str, str]]) -> None:
        self.false_alarms += len(false)
        self.wrong += [f"false alarm: {one}" for one in sorted(false)]

    def previewed(self) -> set[tuple[str, str]]:
        """Ask Pulumi; its names become ours, and an object to create is an absent one."""
        done = self.stack.local.pulumi("preview", "--expect-no-changes", "--json")
        assert done.returncode in (0, 7), done.stdout + done.stderr
        steps = json.JSONDecoder().raw_decode(done.stdout)[0]["steps"]
        return {
            (_our_name(step), field)
            for step in steps
            if step["op"] not in ("same", "refresh")
            for field in ({re.sub(r"\[\d+\]$", "", name) for name in step.get("detailedDiff") or ()} or {ABSENT})
        }

    def drifted(self) -> set[tuple[str, str]]:
        """Ask our own command."""
        done = self.stack.ours("drift", "--json")
        assert done.returncode in (0, 1), done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert (report["status"] == "clean") == (done.returncode == 0)
        return {(one["object"], one["field"]) for one in report["findings"]}

    def line(self) -> str:
        return f"{self.mutations} mutations, {self.found} found, {self.false_alarms} false alarms"


def _our_name(step: dict[str, object]) -> str:
    """Return the name that drift uses, from a step's type and resource."""
    urn = str(step["urn"])
    kind = urn.split("::")[-2].split(":")[-1]
    state = step.get("newState") or step.get("oldState")
    assert isinstance(state, dict)
    name = state.get("inputs", {}).get("name", "")
    word = {
        "Prerequisites": "prerequisites", "Ledger": "ledger", "Extension": "extension", "VaultSecret": "secret",
        "Function": "function", "CronJob": "job",
    }[kind]  # fmt: skip
    return f"{word} {name}".strip()


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.matrix)], ids=["sample", "whole"])
def test_every_field_that_a_hand_changes_is_found_named_alone_and_repaired(
    converged: Stack, site: Site, whole: bool, request: pytest.FixtureRequest
):
    matrix = Matrix(converged, site)
    for mutations in list(rounds())[: None if whole else 1]:
        matrix.play(mutations)
        converged.up()
        matrix.quiet(matrix.drifted())
        if any(mutation.brings or "set node" in mutation.sql for mutation in mutations):
            jobids = {row["name"]: row["jobid"] for row in site.by_hand(JOBIDS)}
            assert converged.outputs()["jobids"] == jobids, "jobs that are made again have new ids"
    for mutations in refused() if whole else ():
        matrix.play(mutations)
        converged.up(expect=1)
        for mutation in mutations:
            site.by_hand(mutation.mended)
        matrix.quiet(matrix.drifted())
    if whole:
        _quiet_rounds(matrix)
        assert matrix.mutations >= 40

    request.config.stash[TABLE].append(matrix.line())
    assert matrix.wrong == []
    assert matrix.line() == f"{matrix.mutations} mutations, {matrix.mutations} found, 0 false alarms"


def _quiet_rounds(matrix: Matrix) -> None:
    local = matrix.stack.local
    opened = locate_stack(local.arguments[1], local.config_file, CHECKOUT, matrix.stack.given())
    for _ in range(QUIET_ROUNDS):
        report = check_stack(opened)
        assert report.status in (StackStatus.CLEAN, StackStatus.DRIFT), report.cause
        matrix.quiet({(one.object_name, one.change.field) for one in report.findings})
    for _ in range(THROUGH_THE_COMMAND_LINE):
        matrix.quiet(matrix.previewed() | matrix.drifted())
