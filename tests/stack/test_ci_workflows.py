"""The action, the reusable workflow and the pipelines of other forges, as a repository of one's own uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.fleet import Fleet
from tests.fixtures.github_emulator import REPOSITORY, TOKEN, GitHubEmulator
from tests.fixtures.pipeline_emulator import Pipelines
from tests.fixtures.runner_emulator import Runner
from tests.fixtures.shop import machine
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT

WORKFLOW = CHECKOUT / "examples" / "ci" / "github" / "bubble-sync.yml"
COMPONENT = CHECKOUT / "templates" / "bubble-sync.yml"
BITBUCKET = CHECKOUT / "examples" / "ci" / "bitbucket-pipelines.yml"
BY_HAND = "update cron.job set schedule = '0 0 * * *' where jobname = 'bubble-sync-retry'"
SCHEDULES = "select jobname::text as name, schedule from cron.job order by jobid"
PUSH = {"ref": "refs/heads/main"}


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """The example for a repository with one stack."""
    file = tmp_path / "workflow.yml"
    file.write_text(WORKFLOW.read_text("utf-8").replace("[staging, prod]", "[staging]"))
    return file


@pytest.fixture
def runner(shop: Fleet, github: GitHubEmulator, tmp_path: Path) -> Runner:
    """The repository at GitHub, with the environments of docs/guides/ci.md."""
    (tmp_path / "runs").mkdir()
    names = ("PULUMI_CONFIG_PASSPHRASE", "BUBBLE_SYNC_STAGING_DATABASE_URL")
    secrets = {name: shop.environment[name] for name in names}
    return Runner(
        shop.project, tmp_path / "runs", {**machine(shop), "GITHUB_API_URL": github.url, "NO_PROXY": "*"}, TOKEN,
        REPOSITORY, {"PULUMI_BACKEND_URL": shop.environment["PULUMI_BACKEND_URL"]},
        dict.fromkeys(("preview", "observe", "staging"), secrets),
    )  # fmt: skip


def change_on_a_branch(shop: Fleet) -> str:
    """Commit another number on a branch; return the commit before."""
    base = shop.commit()
    shop.run("git", "switch", "--quiet", "--create", "branch")
    shop.pulumi("staging", "config", "set", "--path", "bubble-sync:processor.maxItems", "30")
    shop.commit()
    return base


def pull_request(shop: Fleet, base: str, head: str = REPOSITORY) -> dict[str, object]:
    return {"pull_request": {"number": 12, "base": {"sha": base}, "head": {"repo": {"full_name": head}}}}


def test_a_push_deploys_a_pull_request_gets_its_comment_and_drift_its_issue(
    shop: Fleet, runner: Runner, workflow: Path, github: GitHubEmulator, site: Site
):
    pushed = runner.run(workflow, "push", PUSH)
    assert pushed.results == {
        "preview": "skipped", "plan / unconfigured": "skipped", "plan / run": "success", "plan": "success",
        "deploy / unconfigured": "skipped", "deploy / run": "success", "deploy": "success", "drift": "skipped",
    }, pushed.log  # fmt: skip
    assert "+ 21 to create" in pushed.log
    assert site.by_hand(SCHEDULES)[1] == {"name": "bubble-sync-retry", "schedule": "*/5 * * * *"}

    base = change_on_a_branch(shop)
    previewed = runner.run(workflow, "pull_request", pull_request(shop, base), "branch")
    assert previewed.results["preview"] == "success", previewed.log
    (comment,) = github.comments[12]
    assert "max_items constant integer := 30;" in comment["body"]
    assert "## Stack `staging`" in previewed.summary

    site.by_hand(BY_HAND)
    drifted = runner.run(workflow, "schedule", {})
    assert drifted.results["drift"] == "failure", drifted.log
    (issue,) = github.open_issues()
    assert "0 0 * * *" in issue["body"]
    said = pushed.log + previewed.log + drifted.log
    assert [secret for secret in (site.addresses.service_role_key, site.addresses.password) if secret in said] == []


@pytest.fixture
def pipelines(shop: Fleet, tmp_path: Path) -> Pipelines:
    (tmp_path / "jobs").mkdir()
    origin = Path(shop.run("git", "rev-parse", "--show-toplevel").strip())
    return Pipelines(origin, tmp_path / "jobs", machine(shop))


def variables_of(shop: Fleet, **more: str) -> dict[str, str]:
    names = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "BUBBLE_SYNC_STAGING_DATABASE_URL")
    return {**{name: shop.environment[name] for name in names}, **more}


@pytest.mark.matrix
@pytest.mark.parametrize("shop", ["infra"], indirect=True)
def test_the_component_for_gitlab_deploys_previews_and_finds_drift_of_a_project_in_a_folder(
    shop: Fleet, pipelines: Pipelines, site: Site
):
    inputs = {"stacks": ["staging"], "working-directory": "infra"}
    main = {"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
    plan, deploy = pipelines.gitlab(COMPONENT, inputs, variables_of(shop, CI_PIPELINE_SOURCE="push", **main))
    assert plan.startswith("bubble-sync-plan\n")
    assert "+ 21 to create" in plan
    assert deploy.startswith("bubble-sync-deploy\n")
    assert "+ 21 created" in deploy

    base = change_on_a_branch(shop)
    request = variables_of(shop, CI_PIPELINE_SOURCE="merge_request_event", CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    (preview,) = pipelines.gitlab(COMPONENT, inputs, request, "branch")
    assert "max_items constant integer := 30;" in preview
    assert "## Stack `staging`" in (pipelines.folder / "artifacts" / "report.md").read_text("utf-8")

    site.by_hand(BY_HAND)
    (drift,) = pipelines.gitlab(COMPONENT, inputs, variables_of(shop, CI_PIPELINE_SOURCE="schedule"))
    assert "0 0 * * *" in drift
    assert drift.endswith("exit 1\n")


@pytest.mark.matrix
def test_the_example_for_bitbucket_deploys_previews_and_finds_drift(shop: Fleet, pipelines: Pipelines, site: Site):
    deployed = pipelines.bitbucket(BITBUCKET, "branches", "main", variables_of(shop))
    assert "+ 21 to create" in deployed
    assert "+ 21 created" in deployed

    base = change_on_a_branch(shop)
    request = variables_of(shop, BITBUCKET_PR_DESTINATION_COMMIT=base)
    assert "max_items constant integer := 30;" in pipelines.bitbucket(BITBUCKET, "pull-requests", "branch", request)

    site.by_hand(BY_HAND)
    assert pipelines.bitbucket(BITBUCKET, "custom", "drift", variables_of(shop)).endswith("exit 1\n")


@pytest.mark.matrix
def test_the_line_for_cron_prints_nothing_of_a_clean_fleet_and_the_drift_of_another(
    shop: Fleet, pipelines: Pipelines, tmp_path: Path, site: Site
):
    pipelines.bitbucket(BITBUCKET, "branches", "main", variables_of(shop))
    (tmp_path / "shop-sync.env").write_text("export BUBBLE_SYNC_OF_CRON=1\n")
    *_, line = (CHECKOUT / "examples" / "ci" / "crontab").read_text("utf-8").splitlines()
    command = line.split(maxsplit=5)[5].replace("/srv/shop-sync", ".").replace("/etc", str(tmp_path))

    assert shop.run("sh", "-c", command) == ""
    site.by_hand(BY_HAND)
    assert "0 0 * * *" in shop.run("sh", "-c", command)
