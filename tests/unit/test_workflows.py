"""The workflows only call scripts, with as little in reach as each needs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from bubble_sync.cli.ci import ci_app
from tests.fixtures.github_expressions import UnknownConstruct
from tests.fixtures.runner_emulator import Runner
from tests.fixtures.runner_emulator import load as read_workflow

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
#: What a step may run: one of our commands with plain words, and nothing around it.
CALL = re.compile(r"(bubble-sync ci|make|tools/[a-z]+|\.ci/run)( [a-z-]+)*")
NOTICE = 'echo "::notice::nothing to do until the variable PULUMI_BACKEND_URL is set: docs/guides/ci.md"'

EXAMPLE = ROOT / "examples" / "ci" / "github" / "bubble-sync.yml"
COMMANDS = sorted(get_command(ci_app).commands)

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


def test_there_are_the_four_workflows_and_the_one_for_other_repositories() -> None:
    assert [workflow.stem for workflow in WORKFLOWS] == ["bubble-sync", "ci", "deploy", "drift", "preview"]


def test_a_step_only_calls_a_command_that_is_there() -> None:
    calls = [step["run"] for _, step in steps() if step.get("run", NOTICE) != NOTICE]

    assert [call for call in calls if not CALL.fullmatch(call)] == []
    assert {" ".join(call.split()[:3]) for call in calls if call.startswith("bubble-sync")} == {
        f"bubble-sync ci {name}" for name in COMMANDS
    }
    assert [
        call for call in calls if call.startswith(("tools/", ".ci/")) and not (ROOT / call.split()[0]).is_file()
    ] == []


def test_without_a_backend_a_workflow_does_nothing_and_says_so() -> None:
    for name in ("preview", "deploy", "drift"):
        found = load(ROOT / ".github" / "workflows" / f"{name}.yml")["jobs"]
        assert found.pop("unconfigured")["if"] == "vars.PULUMI_BACKEND_URL == ''"
        # The rehearsal of a fork's change needs no backend.
        found.pop("fork", None)
        first = next(iter(found.values()))
        assert first["if"].startswith("vars.PULUMI_BACKEND_URL != ''")
        assert all(job is first or job["needs"] for job in found.values())


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}

    assert len(used) == len({one.split("@")[0] for one in used})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_gives_no_permission_and_a_job_only_what_it_needs(workflow: Path) -> None:
    writing = {
        "preview": {"stacks": ["pull-requests"]},
        "drift": {"drift": ["issues"]},
        "bubble-sync": {"run": ["pull-requests", "issues"]},
    }.get(workflow.stem, {})
    found = load(workflow)

    assert found["permissions"] == {}
    for name, job in found["jobs"].items():
        if name == "unconfigured":
            assert job["permissions"] == {}
            continue
        more = dict.fromkeys(writing.get(name, []), "write")
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

    assert job_of("preview", "stacks")["if"] == f"vars.PULUMI_BACKEND_URL != '' && {same}"
    assert job_of("preview", "fork")["if"] == same.replace("==", "!=")


def test_prod_is_deployed_from_the_plan_that_was_shown_after_staging_and_behind_its_environment() -> None:
    plan, prod = job_of("deploy", "plan-prod"), job_of("deploy", "prod")

    assert (plan["needs"], prod["needs"]) == ("staging", "plan-prod")
    assert [job_of("deploy", name)["environment"] for name in ("staging", "plan-prod", "prod")] == [
        "staging", "observe", "prod",
    ]  # fmt: skip
    runs = [[step["run"] for step in job["steps"] if "run" in step] for job in (plan, prod)]
    assert runs == [["tools/setup client", f"bubble-sync ci {word} --stack prod"] for word in ("plan", "apply")]


def test_a_deploy_is_never_cancelled_half_way() -> None:
    for name in ("staging", "prod"):
        assert job_of("deploy", name)["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": False}


@pytest.mark.parametrize(
    ("workflow", "script"), [("preview", "bubble-sync ci preview"), ("drift", "bubble-sync ci drift")]
)
def test_what_reads_every_stack_has_the_address_of_every_stack(workflow: str, script: str) -> None:
    (given,) = [step["env"] for _, step in steps() if step.get("run") == script]
    for file in ROOT.glob("Pulumi.*.yaml"):
        variable = yaml.safe_load(file.read_text("utf-8"))["config"]["bubble-sync:databaseUrlEnv"]
        if file.name != "Pulumi.local.yaml":
            assert given[variable] == f"${{{{ secrets.{variable} }}}}", f"{workflow}.yml lacks {variable}"


def test_the_page_about_ci_names_every_command() -> None:
    page = (ROOT / "docs/guides/ci.md").read_text("utf-8")

    assert [name for name in COMMANDS if f"| `bubble-sync ci {name}" not in page] == []


def git_hub(tmp_path: Path, variables: dict[str, str] | None = None) -> Runner:
    """An empty repository, and a machine that has git alone."""
    origin = tmp_path / "origin"
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(origin)], check=True)
    commit = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet"]
    subprocess.run([*commit, "--allow-empty", "-m", "a"], check=True)
    (tmp_path / "runs").mkdir()
    return Runner(origin, tmp_path / "runs", {"PATH": "/bin:/usr/bin"}, "token", "shop/sync", variables or {})


def triggers() -> Iterator[tuple[Path, str]]:
    for file in (EXAMPLE, *(ROOT / ".github" / "workflows" / f"{name}.yml" for name in ("preview", "deploy", "drift"))):
        yield from ((file, event) for event in read_workflow(file)["on"])


@pytest.mark.parametrize(("file", "event"), list(triggers()), ids=lambda it: getattr(it, "stem", it))
def test_an_unconfigured_repository_has_one_notice_and_no_failure(file: Path, event: str, tmp_path: Path) -> None:
    head = {"number": 1, "base": {"sha": "main"}, "head": {"repo": {"full_name": "shop/sync"}}}

    run = git_hub(tmp_path).run(file, event, {"pull_request": head} if event == "pull_request" else {})

    assert "failure" not in run.results.values(), run.log
    assert set(run.notices) == {"nothing to do until the variable PULUMI_BACKEND_URL is set: docs/guides/ci.md"}


def test_a_pull_request_of_a_fork_runs_nothing_of_the_reusable_workflow(tmp_path: Path) -> None:
    event = {"pull_request": {"number": 1, "base": {"sha": "main"}, "head": {"repo": {"full_name": "stranger/sync"}}}}

    run = git_hub(tmp_path, {"PULUMI_BACKEND_URL": "s3://state"}).run(EXAMPLE, "pull_request", event)

    assert run.results["preview / run"] == "skipped"
    assert run.log == ""


@pytest.mark.parametrize("command", ["preview", "plan", "apply", "drift"])
def test_the_action_without_a_backend_prints_one_notice_and_installs_nothing(command: str, tmp_path: Path) -> None:
    step = {"uses": "OWNER/bubble-sync@v0.1.0", "with": {"command": command}}
    job = {"runs-on": "x", "steps": [step]}
    file = tmp_path / "workflow.yml"
    file.write_text(yaml.safe_dump({"name": "x", "on": {"push": None}, "jobs": {"only": job}}))

    run = git_hub(tmp_path).run(file, "push", {})

    assert run.results == {"only": "success"}
    assert run.log == f"::notice::bubble-sync ci {command} does nothing until the variable PULUMI_BACKEND_URL is set\n"


@pytest.mark.parametrize(
    "change",
    [
        {"services": {}},
        {"steps": [{"run": "true", "continue-on-error": True}]},
        {"steps": [{"uses": "actions/setup-node@v4"}]},
        {"steps": [{"run": "true", "if": "contains(github.ref, 'main')"}]},
        {"steps": [{"run": "echo ${{ needs.other.outputs.x }}"}]},
        {"steps": [{"run": "echo ${{ github.ref > 1 }}"}]},
        {"steps": [{"uses": "actions/checkout@v7", "with": {"submodules": True}}]},
        {"strategy": {"matrix": {"a": [1]}, "fail-fast": False}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_the_emulated_runner_refuses_what_it_does_not_know(change: Job, tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    job = {"runs-on": "x", "steps": [{"run": "true"}], **change}
    file.write_text(yaml.safe_dump({"name": "x", "on": {"push": None}, "jobs": {"only": job}}))

    with pytest.raises(UnknownConstruct):
        git_hub(tmp_path).run(file, "push", {})


def test_a_job_has_the_secrets_of_its_environment_and_a_token_of_its_permissions(tmp_path: Path) -> None:
    step = {"run": "echo $A-$B", "env": {"A": "${{ secrets.KEY }}", "B": "${{ github.token }}"}}
    jobs = {
        "none": {"runs-on": "x", "steps": [step]},
        "prod": {"runs-on": "x", "environment": "prod", "permissions": {"issues": "write"}, "steps": [step]},
    }
    file = tmp_path / "workflow.yml"
    file.write_text(yaml.safe_dump({"name": "x", "on": {"push": None}, "jobs": jobs}))
    runner = replace(git_hub(tmp_path), secrets={"prod": {"KEY": "secret"}})

    assert runner.run(file, "push", {}).log == "-ghs_read_only\nsecret-token\n"


def test_the_options_of_the_script_for_deployments_are_the_clis() -> None:
    script = (ROOT / "examples" / "ci" / "pulumi-deployments.sh").read_text("utf-8")
    command = ["pulumi", "deployment", "settings", "edit", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    options = set(re.findall(r"(?<= )--[a-z-]+", script.split("settings edit")[1].split('"uv')[0]))
    assert len(options) == 7
    assert [option for option in options if f"{option} " not in known] == []


def test_the_example_for_gitlab_adds_to_what_the_component_has() -> None:
    component = list(yaml.safe_load_all((ROOT / "templates" / "bubble-sync.yml").read_text("utf-8")))
    text = (ROOT / "examples" / "ci" / "gitlab-ci.yml").read_text("utf-8")
    example = yaml.safe_load(text.replace("!reference ", ""))
    (include,) = example.pop("include")

    assert include["inputs"].keys() <= component[0]["spec"]["inputs"].keys()
    assert example.keys() <= component[1].keys()
    references = [line for line in example[".bubble-sync"]["before_script"] if isinstance(line, list)]
    assert [component[1][job][key] for job, key in references]


def test_the_pages_line_for_cron_is_the_one_of_the_example() -> None:
    *_, line = (ROOT / "examples" / "ci" / "crontab").read_text("utf-8").splitlines()

    assert f"\n{line}\n" in (ROOT / "docs" / "guides" / "ci.md").read_text("utf-8")
