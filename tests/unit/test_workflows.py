"""The workflows only call scripts, with as little in reach as each needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
SCRIPTS = sorted((ROOT / "ci").glob("*.sh"))
#: What a step may run: one of our scripts with plain words, and nothing around it.
CALL = re.compile(r"(ci/[a-z-]+\.sh|make|tools/setup|\.ci/run)( [a-z]+)*")

Job = dict[str, Any]


def load(workflow: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(workflow.read_text("utf-8"))
    return found


def jobs() -> Iterator[Any]:
    for workflow in WORKFLOWS:
        for name, job in load(workflow)["jobs"].items():
            yield pytest.param(job, id=f"{workflow.stem}-{name}")


def steps() -> Iterator[tuple[Job, Job]]:
    for workflow in WORKFLOWS:
        for job in load(workflow)["jobs"].values():
            for step in job["steps"]:
                yield job, step


def job_of(workflow: str, job: str) -> Job:
    found: Job = load(ROOT / ".github" / "workflows" / f"{workflow}.yml")["jobs"][job]
    return found


def test_there_are_the_four_workflows() -> None:
    assert [workflow.stem for workflow in WORKFLOWS] == ["ci", "deploy", "drift", "preview"]


def test_a_step_only_calls_a_script_that_is_there() -> None:
    calls = [step["run"] for _, step in steps() if "run" in step]

    assert [call for call in calls if not CALL.fullmatch(call)] == []
    assert [call for call in calls if call.startswith(("ci/", ".ci/")) and not (ROOT / call.split()[0]).is_file()] == []
    assert {script.name for script in SCRIPTS} - {"stack-report.sh"} == {
        call.split()[0].removeprefix("ci/") for call in calls if call.startswith("ci/")
    }


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}

    assert len(used) == len({one.split("@")[0] for one in used})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_gives_no_permission_and_a_job_only_what_it_needs(workflow: Path) -> None:
    writing = {"preview": {"stacks": "pull-requests"}, "drift": {"drift": "issues"}}.get(workflow.stem, {})
    found = load(workflow)

    assert found["permissions"] == {}
    for name, job in found["jobs"].items():
        more = {writing[name]: "write"} if name in writing else {}
        assert job["permissions"] == {"contents": "read", **more}


@pytest.mark.parametrize("job", list(jobs()))
def test_a_secret_is_only_in_a_job_with_an_environment_and_there_in_the_step_that_uses_it(job: Job) -> None:
    everything = yaml.safe_dump(job)
    in_steps = [step for step in job["steps"] if "secrets." in yaml.safe_dump(step)]

    assert everything.count("secrets.") == sum(yaml.safe_dump(step["env"]).count("secrets.") for step in in_steps)
    assert not in_steps or job["environment"]
    for step in job["steps"]:
        if "github.token" in yaml.safe_dump(step):
            assert step not in in_steps, "what reads databases cannot write to GitHub"


@pytest.mark.parametrize(("workflow", "job"), [("preview", "fork"), ("ci", "check")])
def test_what_runs_for_a_fork_has_no_secret_no_environment_and_no_token(workflow: str, job: str) -> None:
    found = job_of(workflow, job)

    assert "environment" not in found
    assert re.findall(r"secrets\.|github\.token|inherit", yaml.safe_dump(found)) == []


def test_a_pull_request_runs_one_of_the_two_previews() -> None:
    same = "github.event.pull_request.head.repo.full_name == github.repository"

    assert job_of("preview", "stacks")["if"] == same
    assert job_of("preview", "fork")["if"] == same.replace("==", "!=")


def test_prod_is_deployed_from_the_plan_that_was_shown_after_staging_and_behind_its_environment() -> None:
    plan, prod = job_of("deploy", "plan-prod"), job_of("deploy", "prod")

    assert (plan["needs"], prod["needs"]) == ("staging", "plan-prod")
    assert [job_of("deploy", name)["environment"] for name in ("staging", "plan-prod", "prod")] == [
        "staging", "observe", "prod",
    ]  # fmt: skip
    runs = [[step["run"] for step in job["steps"] if "run" in step] for job in (plan, prod)]
    assert runs == [["tools/setup client", "ci/deploy.sh prod plan"], ["tools/setup client", "ci/deploy.sh prod apply"]]


def test_a_deploy_is_never_cancelled_half_way() -> None:
    for name in ("staging", "prod"):
        assert job_of("deploy", name)["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": False}


@pytest.mark.parametrize(("workflow", "script"), [("preview", "ci/preview.sh"), ("drift", "ci/drift.sh")])
def test_what_reads_every_stack_has_the_address_of_every_stack(workflow: str, script: str) -> None:
    (given,) = [step["env"] for _, step in steps() if step.get("run") == script]
    for file in ROOT.glob("Pulumi.*.yaml"):
        variable = yaml.safe_load(file.read_text("utf-8"))["config"]["bubble-sync:databaseUrlEnv"]
        if file.name != "Pulumi.local.yaml":
            assert given[variable] == f"${{{{ secrets.{variable} }}}}", f"{workflow}.yml lacks {variable}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_says_at_its_head_what_it_does_which_variables_it_takes_and_how_it_exits(script: Path) -> None:
    first, *rest = script.read_text("utf-8").splitlines()
    head = "\n".join(rest[: next(number for number, line in enumerate(rest) if not line.startswith("#"))])

    assert first == "#!/usr/bin/env bash"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^# Variables: ", head, re.MULTILINE)
    assert re.search(r"^# Exit: ", head, re.MULTILINE)


def test_the_page_about_ci_names_every_script_and_no_other() -> None:
    page = (ROOT / "docs/guides/ci.md").read_text("utf-8")

    assert set(re.findall(r"ci/[a-z-]+\.sh", page)) | {"ci/stack-report.sh"} == {f"ci/{file.name}" for file in SCRIPTS}


def test_the_pages_example_for_gitlab_is_yaml_that_only_calls_our_scripts() -> None:
    page = (ROOT / "docs/guides/ci.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    pipeline = yaml.safe_load(example)

    called = [line.split()[-1] if "=" in line else line for job in pipeline.values() for line in job.get("script", [])]
    assert len(called) == 3
    assert [line for line in called if not CALL.fullmatch(line)] == []
