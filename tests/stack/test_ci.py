"""`bubble-sync ci` and the rehearsal for forks, on two stacks with different settings on two clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.fixtures.fleet import Fleet
from tests.fixtures.github_emulator import TOKEN, GitHubEmulator
from tests.fixtures.site import Site

JOBS = "select jobid, jobname::text as name, schedule, active from cron.job order by jobid"
MAX_ITEMS = """
    select substring(prosrc from 'max_items constant integer := (\\d+);')::int as max_items
    from pg_proc where proname = 'invoke_bubble_sync_processor'
"""
BY_HAND = "update cron.job set schedule = '0 0 * * *' where jobname = 'bubble-sync-retry'"
FUNCTION = "sql/functions/invoke_bubble_sync_retry.sql"
LEAK = "sb_secret_written_by_hand"
COMMENT = "No failed items ready for retry"


def max_items(site: Site) -> object:
    return site.by_hand(MAX_ITEMS)[0]["max_items"]


def schedules(site: Site) -> dict[object, object]:
    return {row["name"]: row["schedule"] for row in site.by_hand(JOBS)}


def secrets_of(site: Site) -> list[str]:
    """What no output may hold: the keys and the database password."""
    return [site.addresses.service_role_key, site.addresses.secret_key, site.addresses.password]


def test_two_stacks_are_deployed_from_plans_each_with_its_own_settings(fleet: Fleet, site: Site, second_site: Site):
    for stack in ("staging", "prod"):
        assert "+ 21 to create" in fleet.ci("plan", "--stack", stack)
        assert "+ 21 created" in fleet.ci("apply", "--stack", stack)
        fleet.pulumi(stack, "preview", "--expect-no-changes")

    assert (max_items(site), max_items(second_site)) == (10, 20)
    assert schedules(site) == {"bubble-sync-processor": "* * * * *", "bubble-sync-retry": "*/5 * * * *"}
    assert schedules(second_site) == {"bubble-sync-processor": "*/2 * * * *", "bubble-sync-retry": "*/5 * * * *"}


def test_what_changes_after_the_plan_is_refused_with_nothing_done_and_nothing_secret_said(
    empty_fleet: Fleet, scratch: Path, site: Site
):
    fleet = empty_fleet
    fleet.add_stack("staging", site.addresses, site.addresses.secret_key)
    fleet.pulumi("staging", "up", "--yes", "--skip-preview")
    fleet.pulumi("staging", "config", "set", "--path", "bubble-sync:processor.maxItems", "30")
    fleet.ci("plan", "--stack", "staging")
    site.by_hand(BY_HAND)

    drifted = fleet.ci("apply", "--stack", "staging", expect=1)
    # The plan's key is then no configuration value any more, and Pulumi prints it (tests/canaries).
    fleet.set_key("staging", site.addresses.service_role_key)
    configured = fleet.ci("apply", "--stack", "staging", expect=1)

    for said, named in ((drifted, "sync-jobs-bubble-sync-retry"), (configured, "the configuration")):
        assert f"The plan is violated, and refused at:\n  {named}\nnothing was changed. Pulumi's own output" in said
        assert "Make a new plan, read it, then apply it: bubble-sync ci plan --stack staging\n" in said
        assert [secret for secret in secrets_of(site) if secret in said] == []
    assert max_items(site) == 10
    assert schedules(site)["bubble-sync-retry"] == "0 0 * * *"
    assert list(scratch.glob("tmp*")) == [], "what Pulumi said is gone"

    # Drift that was there before the plan is in the plan, and repaired by it.
    fleet.ci("plan", "--stack", "staging")
    fleet.ci("apply", "--stack", "staging")
    assert max_items(site) == 30
    assert schedules(site)["bubble-sync-retry"] == "*/5 * * * *"


def test_a_plan_that_is_not_there_is_refused(empty_fleet: Fleet):
    said = empty_fleet.ci("apply", "--stack", "prod", expect=2)

    assert "plan-prod.json: run `bubble-sync ci plan --stack prod`\n" in said


def test_a_preview_reports_just_the_stacks_that_a_change_touches(fleet: Fleet, site: Site, second_site: Site):
    for stack in ("staging", "prod"):
        fleet.pulumi(stack, "up", "--yes", "--skip-preview")
    # People write keys into jobs: Pulumi shows a job's command as it is.
    second_site.by_hand(f"update cron.job set command = 'SELECT 1 -- Bearer {LEAK}' where jobid = 2")
    before = (site.by_hand(JOBS), second_site.by_hand(JOBS))
    base = fleet.commit()

    fleet.pulumi("prod", "config", "set", "--path", "bubble-sync:processor.maxItems", "30")
    fleet.commit()
    said = fleet.ci("preview", BASE=base, REPORT="report.md", GITHUB_STEP_SUMMARY=str(fleet.project / "summary"))
    report = (fleet.project / "report.md").read_text("utf-8")
    assert report in said
    assert report == (fleet.project / "summary").read_text("utf-8")
    assert [line for line in report.splitlines() if line.startswith("## ")] == ["## Stack `prod`"]
    assert "max_items constant integer := 30;" in report
    assert "    ~ 3 to update" in report
    assert "SELECT 1 -- Bearer [secret]" in report
    assert LEAK not in said

    fleet.replace(FUNCTION, COMMENT, "Nothing to do")
    fleet.commit()
    gone = "postgresql://postgres:p@127.0.0.1:1/x"
    both = fleet.ci("preview", BASE=base, BUBBLE_SYNC_PROD_DATABASE_URL=gone, expect=3)
    assert [line for line in both.splitlines() if line.startswith("## ")] == ["## Stack `prod`", "## Stack `staging`"]
    assert "bubble-sync diff failed, exit 3" in both
    assert "Nothing to do" in both, "one unreachable stack hides no other"

    assert "no stack is touched" in fleet.ci("preview", BASE="HEAD")
    assert [each for each in secrets_of(site) + secrets_of(second_site) if each in said + both] == []
    assert (site.by_hand(JOBS), second_site.by_hand(JOBS)) == before


@pytest.mark.matrix
def test_drift_of_one_stack_opens_an_issue_and_a_deploy_closes_it(
    fleet: Fleet, site: Site, second_site: Site, github: GitHubEmulator
):
    told = {
        "REPORT": "report.md", "GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "shop/sync", "GITHUB_TOKEN": TOKEN,
        "NO_PROXY": "*",
    }  # fmt: skip
    for stack in ("staging", "prod"):
        fleet.pulumi(stack, "up", "--yes", "--skip-preview")
    fleet.ci("drift", REPORT="report.md")
    fleet.ci("issue", **told)
    assert github.issues == []

    second_site.by_hand(BY_HAND)
    said = fleet.ci("drift", REPORT="report.md", expect=1)
    assert "prod" in said
    assert "schedule" in said
    fleet.ci("issue", **told)
    (issue,) = github.open_issues()
    assert "schedule" in issue["body"]

    fleet.ci("plan", "--stack", "prod")
    fleet.ci("apply", "--stack", "prod")
    fleet.ci("drift", REPORT="report.md")
    fleet.ci("issue", **told)
    assert github.open_issues() == []

    site.by_hand(BY_HAND)
    gone = "postgresql://postgres:p@127.0.0.1:1/x"
    unread = fleet.ci("drift", REPORT="report.md", BUBBLE_SYNC_PROD_DATABASE_URL=gone, expect=3)
    assert "schedule" in unread, "one unreachable stack hides no other"
    assert [each for each in secrets_of(site) + secrets_of(second_site) if each in said + unread] == []


def test_a_forks_change_is_rehearsed_without_any_secret(empty_fleet: Fleet, scratch: Path):
    secret = {"secure": "v1:of:the-real-project"}
    settings = {"projectRef": "stagingstagingstagin", "databaseUrlEnv": "BUBBLE_SYNC_STAGING_DATABASE_URL"}
    numbers = {"processor": {"maxItems": 20}, "serviceRoleKey": secret, "databaseCa": "supabase-ca.crt"}
    config = {f"bubble-sync:{key}": value for key, value in {**settings, **numbers}.items()}
    file = empty_fleet.project / "Pulumi.staging.yaml"
    file.write_text(yaml.safe_dump({"encryptionsalt": "v1:of:the-real-stack", "config": config}))
    base = empty_fleet.commit()
    file.write_text(file.read_text("utf-8").replace("maxItems: 20", "maxItems: 30"))
    empty_fleet.commit()
    stranger = Fleet(
        empty_fleet.project,
        {
            name: value
            for name, value in empty_fleet.environment.items()
            if name not in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")
        },
    )

    stranger.run("tools/rehearse", BASE=base, REPORT="report.md")

    report = (stranger.project / "report.md").read_text("utf-8")
    assert [line for line in report.splitlines() if line.startswith("## ")] == ["## Stack `staging`, rehearsed"]
    assert "-     max_items constant integer := 20;" in report
    assert "+     max_items constant integer := 30;" in report
    assert "    ~ 2 to update" in report
    assert stranger.run("git", "worktree", "list").count("\n") == 1
    assert stranger.run("git", "status", "--porcelain") == ""
    assert list(scratch.glob("bubble-sync-*")) == [], "the platform is gone"
