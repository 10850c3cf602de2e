"""`bubble-sync drift` as a person and as CI run it: one stack, and all of a project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bubble_sync.config.stacks import CONFIG_VARIABLE
from tests.fixtures.adoption import script
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack

BY_HAND = "update cron.job set schedule = '0 0 * * *' where jobname = 'bubble-sync-retry'"
WAITING = (
    "insert into public.sync_queue (table_name, record_id, operation, created_at) "
    "values ('user', 'r1', 'INSERT', now() - interval '2 hours')"
)


def test_up_says_once_that_create_adopts(stack: Stack, site: Site):
    site.by_hand(script("as_executed"))
    line = "+ create adopts what exists; see `bubble-sync diff --stack local`"

    assert line not in stack.run("preview")
    assert stack.up().count(line) == 2, "as it happens, and in the summary"
    stack.configure("retry.active", "false")
    assert line not in stack.up()


def test_a_stack_is_never_up_then_clean_then_drifted(stack: Stack, site: Site):
    given = {CONFIG_VARIABLE: stack.given()[CONFIG_VARIABLE]}

    never = stack.ours("drift", **given)
    assert (never.returncode, never.stderr) == (1, "")
    first, then = never.stdout.splitlines()
    assert first == "stack local: never up: the ledger holds no object of it"
    assert then.startswith("next: `bubble-sync diff --stack local")

    stack.up()
    clean = stack.ours("drift", **given)
    assert (clean.returncode, clean.stderr) == (0, "")
    assert clean.stdout == (
        "stack local: clean\ndoes the sync work now? unknown: no run of job bubble-sync-processor is known\n"
    )

    site.by_hand(BY_HAND)
    drifted = stack.ours("drift", **given)
    arguments = " ".join(stack.local.arguments)
    lines = drifted.stdout.splitlines()
    assert (drifted.returncode, drifted.stderr) == (1, "")
    assert lines[:3] == ["stack local: 1 finding", "~ job bubble-sync-retry",
                         '      schedule: "0 0 * * *" -> "*/5 * * * *"']  # fmt: skip
    assert lines[3].startswith("        since   later than 20")
    assert lines[4:6] == [
        f"        accept  pulumi config set --path bubble-sync:retry.schedule '0 0 * * *' {arguments}",
        f"      repair: pulumi up {arguments}",
    ]

    # The line that accepts it does.
    subprocess.run(
        ["sh", "-c", lines[4].split("accept  ")[1]], cwd=CHECKOUT, env=dict(stack.local.environment), check=True,
        capture_output=True,
    )  # fmt: skip
    assert stack.drift() == {"sync-ledger": ["settings"]}
    assert ' -> "retry.schedule ' in stack.ours("drift").stdout, "the ledger's settings, until the next `up`"
    stack.up()
    assert stack.ours("drift").returncode == 0
    stack.expect_no_changes()


def test_what_is_wrong_has_its_exit_code(stack: Stack):
    given = {CONFIG_VARIABLE: stack.given()[CONFIG_VARIABLE]}

    gone = stack.ours("drift", BUBBLE_SYNC_LOCAL_DATABASE_URL="postgresql://postgres:p@127.0.0.1:1/postgres", **given)
    assert gone.returncode == 3
    assert "nothing listens there" in gone.stderr
    assert gone.stdout == ""
    assert stack.ours("drift", **{CONFIG_VARIABLE: "{}"}).returncode == 2
    assert stack.ours("drift", "--all-stacks").returncode == 2, "and --stack"


@pytest.fixture
def fleet(stack: Stack, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project with the stacks `one` and `two` on the same database, and three that something is wrong with."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text((CHECKOUT / "Pulumi.yaml").read_text("utf-8"))
    environment = {**os.environ, **stack.local.environment}
    local = stack.local.config_file.read_text("utf-8")
    for name, variable in (("one", "LOCAL"), ("two", "TWO"), ("three", "THREE"), ("local", "LOCAL")):
        text = local.replace("BUBBLE_SYNC_LOCAL", f"BUBBLE_SYNC_{variable}")
        (folder / f"Pulumi.{name}.yaml").write_text(text)
        if name != "local":
            subprocess.run(
                ["pulumi", "stack", "init", name, "--non-interactive"], cwd=folder, env=environment, check=True,
                capture_output=True,
            )  # fmt: skip
    (folder / "Pulumi.unknown.yaml").write_text("config: {}\n")
    environment["BUBBLE_SYNC_TWO_DATABASE_URL"] = "postgresql://postgres:p@127.0.0.1:1/postgres"
    yield folder, environment
    shutil.rmtree(folder)


def test_every_stack_but_local_is_asked_and_a_bad_one_hides_nothing(
    fleet: tuple[Path, dict[str, str]], stack: Stack, site: Site
):
    folder, environment = fleet
    stack.up()
    site.by_hand("update bubble_sync.ledger set stack = 'one'", BY_HAND)

    def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bubble-sync", "drift", "--all-stacks", *options], cwd=folder, env={**environment, **variables}, text=True,
            capture_output=True, check=False,
        )  # fmt: skip

    # What is given for one stack is not taken for all of them.
    done = run(**{CONFIG_VARIABLE: stack.given()[CONFIG_VARIABLE], "PULUMI_STACK": "one"})

    assert (done.returncode, done.stderr) == (3, "")
    table = done.stdout.splitlines()[:4]
    assert table[0] == "one      1 finding: job bubble-sync-retry (schedule)"
    assert table[1].startswith("three    configuration: the environment variable BUBBLE_SYNC_THREE_DATABASE_URL")
    assert table[2].startswith("two      unreachable: cannot connect to the database at 127.0.0.1, port ")
    assert table[3].startswith("unknown  configuration: pulumi cannot read the configuration of stack 'unknown'")
    assert "stack one: 1 finding" in done.stdout
    told = {one["stack"]: one["status"] for one in json.loads(run("--json").stdout)["stacks"]}
    assert told == {"one": "drift", "two": "unreachable", "three": "configuration", "unknown": "configuration"}
    comment = run("--markdown").stdout
    assert comment.startswith("**bubble-sync drift**, 0 of 4 clean\n\n| Stack | |\n|---|---|\n| one | 1 finding: ")
    assert "schedule: " in comment

    (folder / "Pulumi.two.yaml").unlink()
    assert run().returncode == 1, "drift, although two others cannot be configured"
    for name in ("three", "unknown"):
        (folder / f"Pulumi.{name}.yaml").unlink()
    assert run().returncode == 1
    (folder / "Pulumi.one.yaml").unlink()
    assert run().returncode == 2, "nothing to look at"


@pytest.mark.usefixtures("converged")
def test_the_other_commands_ask_every_stack_too(fleet: tuple[Path, dict[str, str]], site: Site):
    folder, environment = fleet
    site.by_hand("update bubble_sync.ledger set stack = 'one'", BY_HAND, WAITING)

    def ask(command: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bubble-sync", *command.split(), "--all-stacks", *options], cwd=folder, text=True, capture_output=True,
            env={**environment, **variables}, check=False,
        )  # fmt: skip

    for command in ("status", "verify", "doctor", "key status"):
        asked = ask(command, "--json")
        by_stack = {one["stack"]: one for one in json.loads(asked.stdout)["stacks"]}
        assert (asked.returncode, list(by_stack)) == (3, ["one", "three", "two", "unknown"]), asked.stderr
        kinds = {name: one["error"]["kind"] for name, one in by_stack.items() if "error" in one}
        assert kinds == {"three": "configuration", "two": "unreachable", "unknown": "configuration"}
        assert by_stack["one"]["next"].count("--stack one") == 1
    shown = ask("doctor").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["one", "three", "two", "unknown", "next"]
    assert "job bubble-sync-retry [job_differs]" in shown[0]
    assert shown[2].startswith("two      unreachable: cannot connect to the database at 127.0.0.1, port ")
    measured = ask("metrics")
    assert measured.returncode == 3
    assert {'bubble_sync_up{stack="one"} 1.0', 'bubble_sync_up{stack="two"} 0.0'} <= set(measured.stdout.splitlines())
    assert measured.stdout.count("# EOF") == 1
    assert "error: stack three: " in measured.stderr
    page = ask("report", "--html", "page.html")
    assert page.returncode == 3
    assert [one.name for one in folder.glob("page*")] == ["page.one.html"]
    assert "one      page.one.html" in page.stdout
    assert ask("status", "--stack", "one").returncode == 2
    (folder / "Pulumi.two.yaml").unlink()
    assert ask("status").returncode == 1
