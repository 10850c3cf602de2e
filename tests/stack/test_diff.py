"""`bubble-sync diff` as a person and as CI run it: before `up`, after it, and with settings that need no passphrase."""

from __future__ import annotations

import json
import os
import subprocess

import psycopg

from bubble_sync.config.stacks import CONFIG_VARIABLE
from tests.fixtures.adoption import script
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack


def run(stack: Stack, *options: str, expect: int, **environment: str) -> str:
    """Run the command on the stack; what it printed is data, so nothing may be on standard error."""
    done = subprocess.run(
        ["bubble-sync", "diff", "--stack", "local", *options], cwd=CHECKOUT, text=True, capture_output=True,
        env={**os.environ, **stack.local.environment, **environment}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (expect, ""), done.stdout + done.stderr
    return done.stdout


def shown(stack: Stack) -> str:
    """What a machine without the passphrase is given."""
    done = stack.local.pulumi("config", "--json", "--show-secrets")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_up_makes_nothing_while_objects_are_refused_and_diff_lists_the_same(stack: Stack, site: Site):
    site.by_hand(script("other_owner"), script("job_of_another_role"))

    said = stack.up(expect=1)
    listed = run(stack, "--config-file", str(stack.local.config_file), expect=1)

    for line in (
        "- function public.invoke_bubble_sync_processor is owned by service_role. As that role: alter function ",
        "- job bubble-sync-processor exists for the role anon (jobid 1); both jobs would run. As that role: select ",
    ):
        assert line in said
        assert line in listed
    assert "Traceback" not in said
    assert site.by_hand("select from pg_namespace where nspname = 'bubble_sync'") == []
    assert site.by_hand("select from pg_extension where extname in ('pg_net', 'supabase_vault')") == []
    site.by_hand("drop function public.invoke_bubble_sync_processor()", "delete from cron.job")
    stack.up()
    stack.expect_no_changes()


def test_diff_says_what_up_does_and_then_that_nothing_is_left(stack: Stack, site: Site):
    site.by_hand(script("as_executed"))
    file = ("--config-file", str(stack.local.config_file))
    given = {CONFIG_VARIABLE: shown(stack)}
    key = json.loads(given[CONFIG_VARIABLE])["bubble-sync:serviceRoleKey"]["value"]

    by_pulumi = run(stack, *file, expect=1)
    by_variable = run(stack, expect=1, **given)
    told = json.loads(run(stack, "--json", expect=1, **given))
    comment = run(stack, "--markdown", expect=1, **given)
    undo = run(stack, "--undo-sql", expect=1, **given)
    sql = run(stack, "--sql", expect=1, **given)

    # What to do next names the configuration file where one was given.
    assert by_pulumi.splitlines()[:-1] == by_variable.splitlines()[:-1]
    assert by_pulumi.splitlines()[-1].endswith(f"`pulumi up --stack local --config-file {file[1]}`")
    assert by_variable.splitlines()[-1].endswith("; then `pulumi up --stack local`")
    assert told["counts"] == {"equal": 1, "create": 5, "adopt": 3, "adopt and change": 6}
    assert comment.startswith("**bubble-sync diff**, stack local: 1 equal, 5 create, 3 adopt, 6 adopt and change\n")
    assert not any(key in text for text in (by_variable, json.dumps(told), comment, undo, sql))
    stack.up()
    assert run(stack, expect=0, **given).splitlines()[-1] == "stack local: 15 equal; nothing to do"
    site.by_hand("update cron.job set active = false where jobname = 'bubble-sync-retry'")
    changed = [one for one in json.loads(run(stack, "--json", expect=1, **given))["objects"] if one["changes"]]
    assert [(one["object"], one["state"], one["changes"]) for one in changed] == [
        ("job bubble-sync-retry", "update", [{"field": "active", "actual": False, "wanted": True}])
    ]
    # The stack is destroyed before the way back is taken, which then brings the hand-made functions back.
    stack.run("destroy", "--yes", "--skip-preview")
    with psycopg.connect(site.addresses.database_url, autocommit=True) as editor:
        editor.execute(undo)
    assert site.by_hand("select prosrc from pg_proc where proname = 'invoke_bubble_sync_retry'") == [
        {"prosrc": "\nbegin\n    perform 2;\nend\n"}
    ]


def test_what_is_wrong_has_its_exit_code(stack: Stack):
    environment = {**os.environ, **stack.local.environment, CONFIG_VARIABLE: shown(stack)}

    def code(*options: str, **changes: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bubble-sync", "diff", "--stack", "local", *options], cwd=CHECKOUT, text=True, capture_output=True,
            env={**environment, **changes}, check=False,
        )  # fmt: skip
        assert done.stdout == ""
        return done.returncode, done.stderr

    assert code("--markdown", "--sql")[0] == 2
    assert code(**{CONFIG_VARIABLE: "{}"})[0] == 2
    unreachable = code(BUBBLE_SYNC_LOCAL_DATABASE_URL="postgresql://postgres:p@127.0.0.1:1/postgres")
    assert unreachable[0] == 3
    assert "nothing listens there" in unreachable[1]
