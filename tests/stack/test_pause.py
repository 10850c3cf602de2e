"""Pausing and waking jobs through the real command line and the real Pulumi: configuration and database agree."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from bubble_sync.local.platform import Platform
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack, git

JOBS = "select jobid, jobname, schedule, active from cron.job order by jobname"
NO_CHANGE = "create trigger refusing before update on cron.job for each row execute function public.refuse()"
REASON = "the CRM's maintenance"


def active(site: Site) -> dict[str, bool]:
    return {row["jobname"].removeprefix("bubble-sync-"): row["active"] for row in site.by_hand(JOBS)}


def written(stack: Stack) -> dict[str, object]:
    """What the configuration file says of the jobs."""
    found = yaml.safe_load(stack.local.config_file.read_text())["config"]
    return {key: found[f"bubble-sync:{key}"] for key in ("processor", "retry") if f"bubble-sync:{key}" in found}


def state(stack: Stack, site: Site) -> tuple[bytes, object]:
    return stack.local.config_file.read_bytes(), site.by_hand(JOBS)


def test_both_jobs_are_put_to_sleep_told_and_woken_and_nothing_is_left(converged: Stack, site: Site):
    before = state(converged, site)

    said = converged.sync("pause", "--reason", REASON, "--until", "2999-01-31T18:00:00+01:00")
    assert f"job bubble-sync-processor of stack local is paused until 2999-01-31 17:00:00 UTC ({REASON})" in said
    assert "resume with:  bubble-sync resume --stack local" in said
    assert "commit it" not in said, "no git keeps this file"
    assert active(site) == {"processor": False, "retry": False}
    pause = {"active": False, "pauseReason": REASON, "pauseUntil": "2999-01-31T17:00:00Z"}
    assert written(converged) == {"processor": pause, "retry": pause}
    converged.expect_no_changes()
    assert converged.ours("drift").returncode == 0
    told = converged.ours("status")
    assert (told.returncode, "! job" in told.stdout) == (0, False)
    assert f"job bubble-sync-retry is paused until 2999-01-31 17:00:00 UTC ({REASON})" in told.stdout
    assert json.loads(converged.ours("status", "--json").stdout)["jobs"][0]["pause"]["reason"] == REASON

    assert "job bubble-sync-retry of stack local is active\n" in converged.sync("resume")
    assert state(converged, site) == before
    converged.expect_no_changes()


@pytest.mark.matrix
def test_one_job_keeps_its_other_settings_and_a_second_pause_replaces_the_first(converged: Stack, site: Site):
    converged.configure("retry.timeoutMs", "20000")
    converged.up()

    converged.sync("pause", "--job", "retry", "--reason", REASON, "--until", "2h")
    assert active(site) == {"processor": True, "retry": False}
    converged.sync("pause", "--job", "bubble-sync-retry", "--reason", "2026")
    assert written(converged) == {"retry": {"timeoutMs": 20000, "active": False, "pauseReason": 2026}}
    said = converged.sync("pause", "--job", "retry", "--reason", "2026")
    assert "job bubble-sync-retry of stack local is paused (2026) already: nothing was changed" in said
    assert "pulumi up" not in said

    converged.sync("resume")
    assert written(converged) == {"retry": {"timeoutMs": 20000}}
    assert active(site) == {"processor": True, "retry": True}
    assert "is active already: nothing was changed" in converged.sync("resume", "--job", "retry")


@pytest.mark.matrix
def test_a_job_that_a_hand_put_to_sleep_is_paused_and_one_that_it_woke_is_put_to_sleep(converged: Stack, site: Site):
    site.by_hand("update cron.job set active = false")
    converged.sync("pause", "--reason", REASON)
    converged.expect_no_changes()

    site.by_hand("update cron.job set active = true")
    said = converged.sync("pause", "--reason", REASON)
    assert active(site) == {"processor": False, "retry": False}
    assert "already" not in said


def test_a_pause_that_should_be_over_is_nagged_about_everywhere(converged: Stack):
    converged.sync("pause", "--job", "processor", "--reason", REASON)
    converged.configure("processor.pauseUntil", "2026-01-31T18:00:00Z")
    late = "job bubble-sync-processor is paused until 2026-01-31 18:00:00 UTC"

    told = converged.ours("status")
    assert (told.returncode, f"! {late}" in told.stdout) == (1, True)
    assert f"warning: {late}" in converged.run("preview")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_up_that_fails_leaves_configuration_and_database_as_they_were(converged: Stack, site: Site, command: str):
    if command == "resume":
        converged.sync("pause", "--reason", "a test")
    before = state(converged, site)
    site.by_hand(
        "create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end'",
        f"{NO_CHANGE}",
    )

    said = converged.sync(command, *(["--reason", REASON] if command == "pause" else []), expect=1)

    assert "`pulumi up` failed, and everything is as it was: ServerRefused" in said
    assert state(converged, site) == before
    site.by_hand("drop trigger refusing on cron.job")
    converged.expect_no_changes()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        (
            "select cron.alter_job(2, schedule => '0 0 * * *')",
            "job bubble-sync-retry in the database differs from the configuration",
        ),
        ("select cron.unschedule('bubble-sync-retry')", "it has been removed since"),
    ],
)
def test_a_job_that_up_would_change_in_more_than_its_sleep_is_refused(
    converged: Stack, site: Site, by_hand: str, said: str
):
    site.by_hand("set role postgres", by_hand)
    before = state(converged, site)

    refused = converged.sync("pause", "--reason", REASON, expect=1)

    assert said in refused
    assert "nothing was changed. Run `pulumi up --stack local" in refused
    assert state(converged, site) == before
    assert "is paused" in converged.sync("pause", "--job", "processor", "--reason", REASON)


@pytest.mark.matrix
def test_what_else_was_changed_stays_as_it_is(converged: Stack, site: Site):
    site.by_hand("comment on function public.invoke_bubble_sync_retry() is 'by hand'")
    converged.configure("processor.maxItems", "11")

    converged.sync("pause", "--reason", REASON)

    assert set(converged.drift()) == {
        "sync-functions-invoke_bubble_sync_processor", "sync-functions-invoke_bubble_sync_retry",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "missing option '--reason'"),
        (("--reason", " "), 2, "--reason is empty"),
        (("--reason", "one\ntwo"), 2, "--reason is not one line"),
        (("--reason", REASON, "--until", "yesterday"), 2, "is not a time with a zone"),
        (("--reason", REASON, "--until", "2026-01-01T00:00:00Z"), 2, "is past"),
        (("--reason", REASON, "--job", "sync"), 2, "there is no job 'sync'"),
    ],
)
def test_what_is_asked_wrongly_changes_nothing(
    stack: Stack, options: tuple[str, ...], code: int, said: str, platform: Platform
):
    before = stack.local.config_file.read_bytes()

    assert said in stack.sync("pause", *options, expect=code)
    assert stack.local.config_file.read_bytes() == before


def test_a_stack_that_was_never_up_and_one_that_does_not_answer_are_refused(stack: Stack):
    before = stack.local.config_file.read_bytes()

    assert "Run `pulumi up --stack local" in stack.sync("pause", "--reason", REASON, expect=1)
    nowhere = stack.through("postgresql://postgres:p@127.0.0.1:1/postgres")
    assert "error: cannot connect" in nowhere.sync("pause", "--reason", REASON, expect=3)
    assert stack.local.config_file.read_bytes() == before


def test_two_changes_at_once_are_one_after_the_other(converged: Stack):
    holder = os.open(converged.local.config_file.parent, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)

    said = converged.sync("pause", "--reason", REASON, expect=1)

    os.close(holder)
    assert "another change is under way" in said


def test_the_changed_configuration_is_committed_with_the_printed_line(converged: Stack, repository: Path):
    said = converged.sync("pause", "--job", "retry", "--reason", REASON)

    (line,) = [line for line in said.splitlines() if line.startswith("commit it:")]
    subprocess.run(
        line.removeprefix("commit it:"), shell=True, check=True, cwd=repository,
        env=dict(converged.local.environment), capture_output=True,
    )  # fmt: skip
    subject = git(repository, "log", "-1", "--format=%s", "@{upstream}").strip()
    assert subject == f"chore: pause retry of stack local: {REASON}"
    assert "the checkout has uncommitted changes" not in converged.sync("resume")


@pytest.mark.matrix
def test_a_pause_that_was_not_committed_stops_neither_another_one_nor_its_end(
    converged: Stack, site: Site, repository: Path
):
    before = state(converged, site)
    for _ in range(2):
        assert "commit it:" in converged.sync("pause", "--reason", REASON)
        assert "commit it:" in converged.sync("pause", "--job", "retry", "--reason", "longer")

        said = converged.sync("resume")

        assert "commit it:" not in said, "nothing differs from what is committed"
        assert state(converged, site) == before
        assert git(repository, "status", "--porcelain", "--untracked-files=no") == ""


def test_a_checkout_that_is_not_clean_is_refused(converged: Stack, site: Site, repository: Path):
    converged.configure("retry.timeoutMs", "20000")

    said = converged.sync("pause", "--reason", REASON, expect=1)

    assert "the checkout has uncommitted changes (Pulumi.local.yaml)" in said
    assert active(site) == {"processor": True, "retry": True}
