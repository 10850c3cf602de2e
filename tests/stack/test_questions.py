"""`status`, `trace`, `runs`, `failures`, `verify` and bare `bubble-sync` as a person and a script use them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.formatting import format_age, format_seconds
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, person, run
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

COMMANDS = ("status", "runs", "failures", "trace --latest", "verify")
EMAIL = "ada@example.com"


@pytest.fixture
def served(converged: Stack, site: Site) -> Stack:
    """A converged stack whose jobs run, and one sign-up that synced."""
    run(site, 1, RETRY, "40 s")
    run(site, 2, PROCESSOR, "30 s")
    person(site, "r1", EMAIL)
    item(site, "60 s", status="completed", processed="29 s")
    dispatch(site, 7, "30 s", "ok", runid=2, status_code=200, processed=1, failed=0)
    return converged


def test_a_sync_that_works_is_zero_everywhere(served: Stack, site: Site):
    given = {CONFIG_VARIABLE: served.given()[CONFIG_VARIABLE]}

    for number, command in enumerate((*COMMANDS, f"trace {EMAIL}", "trace r1", "")):
        # A slow machine takes longer for all of them than a job may be silent.
        run(site, 2 * number + 3, RETRY, "5 s")
        run(site, 2 * number + 4, PROCESSOR, "5 s")
        if not command:
            break
        done = served.ours(*command.split(), **given)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert "\x1b" not in done.stdout
        assert EMAIL not in done.stdout
        as_json = served.ours(*command.split(), "--json", **given)
        assert (as_json.returncode, as_json.stderr) == (0, "")
        assert EMAIL not in as_json.stdout
        assert json.loads(as_json.stdout)["stack"] == "local"

    bare = subprocess.run(
        ["bubble-sync"], cwd=served.local.checkout, env={**served.local.environment, **given, "PULUMI_STACK": "local"},
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (bare.returncode, bare.stderr) == (0, ""), bare.stdout
    assert bare.stdout == ("local: nothing wrong is seen; 0 waiting, 0 in flight, 0 stalled, 0 to be retried, 0 dead\n")


def test_a_sync_that_does_not_is_one_everywhere(served: Stack, site: Site):
    given = {CONFIG_VARIABLE: served.given()[CONFIG_VARIABLE]}
    item(site, "50 s", record_id="r2", status="failed", error_message=f"{EMAIL} is taken", retry_count=3)
    run(site, 3, PROCESSOR, "5 s", "failed", said="ERROR:  no")

    for command, says in zip(
        COMMANDS,
        ("1 dead", "ERROR:  no", "1 x SIGNUP_ATOMIC: [email] is taken", "no attempt left", "requeue --stack local"),
        strict=True,
    ):
        done = served.ours(*command.split(), **given)
        assert (done.returncode, done.stderr) == (1, "")
        assert says in done.stdout
        assert "\nnext: " in done.stdout
        assert EMAIL not in done.stdout


def test_of_a_stack_that_was_never_up_every_command_says_so_first(stack: Stack, tmp_path: Path):
    given = {CONFIG_VARIABLE: stack.given()[CONFIG_VARIABLE]}

    for command in (*COMMANDS, "doctor", "metrics", "key status", f"report --html {tmp_path}/report.html"):
        done = stack.ours(*command.split(), **given)
        assert re.match(
            r"this stack was never up: `bubble-sync diff --stack local.*`, then `pulumi up --stack local.*`\n",
            done.stderr,
        ), (command, done.stderr)
        assert "dispatchLog true" not in done.stdout


def test_a_narrow_terminal_loses_nothing(served: Stack, site: Site):
    given = {CONFIG_VARIABLE: served.given()[CONFIG_VARIABLE]}
    (row,) = site.by_hand("select id::text from public.sync_queue")

    done = served.ours("trace", "--latest", FORCE_COLOR="1", COLUMNS="60", **given)
    plain = served.ours("trace", "--latest", FORCE_COLOR="1", NO_COLOR="1", COLUMNS="60", **given)

    assert "\x1b[" in done.stdout
    assert "\x1b[3" not in plain.stdout
    lines = re.sub(r"\x1b\[\d*m", "", plain.stdout).splitlines()
    assert max(map(len, lines)) <= 60
    (start,) = (line.index("item ") for line in lines if line.startswith("inserted"))
    assert f"item{row['id']}" in "".join(line[start:].strip() for line in lines)


def test_what_is_asked_wrongly_is_two_and_what_is_not_found_one(served: Stack):
    given = {CONFIG_VARIABLE: served.given()[CONFIG_VARIABLE]}

    for wrong in (("trace",), ("trace", "r1", "--latest"), ("runs", "--limit", "0")):
        assert served.ours(*wrong, **given).returncode == 2
    absent = served.ours("trace", "nobody@example.com", **given)
    assert (absent.returncode, absent.stdout) == (1, "")
    assert absent.stderr.startswith("error: no item of nobody@example.com is in the queue: ")
    unreachable = {**given, "BUBBLE_SYNC_LOCAL_DATABASE_URL": "postgresql://postgres:p@127.0.0.1:1/postgres"}
    assert [served.ours(*command.split(), **unreachable).returncode for command in COMMANDS] == [3] * len(COMMANDS)


def test_outside_a_project_the_bare_command_says_what_is_missing(tmp_path):
    done = subprocess.run(
        ["bubble-sync"], cwd=tmp_path, env=dict(os.environ), text=True, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no Pulumi.yaml in ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"),
        (-0.4, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_a_duration_is_said_in_its_largest_unit(seconds: float, said: str):
    assert format_age(seconds) == said


def test_a_short_duration_has_its_milliseconds():
    assert (format_seconds(None), format_seconds(0.0042), format_seconds(46.4)) == ("", "0.004 s", "46 s")
