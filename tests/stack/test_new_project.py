"""A project made by `bubble-sync init` and by `pulumi new`, on the embedded platform, from the installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.fixtures.example import Example, jobids, lay_out
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT
from tests.fixtures.terminal import Terminal
from tests.fixtures.wheel import Installed

ANSWERS = ("--stacks", "staging,prod", "--forge", "github", "--backend", "")


@pytest.fixture
def project(tmp_path: Path, installed: Installed) -> Example:
    """The files of `bubble-sync init`, with the environment that the wheel was installed into."""
    # pip compiles what it installs, the files of the template too.
    compiled = installed.run("python", "-m", "compileall", "-q", installed.template, folder=tmp_path)
    assert compiled.returncode == 0, compiled.stdout
    done = installed.run("bubble-sync", "init", "shop-sync", *ANSWERS, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return lay_out(tmp_path / "shop-sync", installed.environment, tmp_path)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".venv" not in path.parts
    }


def test_pulumi_new_makes_the_same_tree_and_notes_the_template(project: Example, tmp_path: Path):
    made = tmp_path / "by-pulumi" / "shop-sync"
    made.mkdir(parents=True)
    template = ["new", str(CHECKOUT / "template"), "--dir", str(made), "--generate-only", "--yes"]
    Example(tmp_path, project.environment).run("pulumi", *template)
    theirs, ours = tree(made), tree(project.project)

    note = yaml.safe_dump({"config": {"pulumi:tags": {"value": {"pulumi:template": str(CHECKOUT / "template")}}}})
    assert theirs.pop("Pulumi.yaml").decode() == ours.pop("Pulumi.yaml").decode() + note
    assert theirs == ours


def test_the_project_converges_and_its_commands_agree(project: Example, site: Site):
    project.give("staging", site.addresses, site.addresses.service_role_key)

    assert project.up("staging")["jobids"] == jobids(site)
    project.run("bubble-sync", "diff", "--stack", "staging")
    project.run("bubble-sync", "drift", "--stack", "staging")


def test_the_project_is_tried_on_the_platform_of_this_machine(project: Example):
    said = project.run("bubble-sync", "local", "up")
    try:
        converge = next(line.strip() for line in said.splitlines() if "pulumi up --stack local" in line)
        project.run("bash", "-c", f"{converge.replace('uv run ', '')} --yes --skip-preview")
        project.run("bubble-sync", "diff", "--stack", "local")
    finally:
        project.run("bubble-sync", "local", "down")
    assert not list(project.project.glob("Pulumi.local.yaml"))


def test_a_placeholder_and_a_missing_certificate_are_named_before_any_connection(project: Example, site: Site):
    project.environment["BUBBLE_SYNC_PROD_DATABASE_URL"] = site.addresses.database_url
    project.pulumi_init("prod")

    refusal = project.pulumi("prod", "preview", expect=1)

    assert "'<set the ref of the prod project>' is not a project ref" in refusal
    assert "bubble-sync:serviceRoleKey: not set; pulumi config set --stack prod --secret" in refusal
    project.run("pulumi", "config", "set", "--stack", "prod", "bubble-sync:projectRef", "abcdefghijklmnopqrst")
    project.set_key("prod", site.addresses.service_role_key)
    assert "supabase-ca.crt" in project.pulumi("prod", "preview", expect=1)


def test_on_a_terminal_every_answer_is_asked_for_and_asked_again_until_it_can_be(terminal: Terminal, tmp_path: Path):
    terminal.type("bubble-sync init shop", tmp_path, os.environ)
    for question, answer in (
        ("Name of the project [shop]", "-shop"),
        ("'-shop' cannot name a project", "my-shop"),
        ("Stacks in the order of deployment [staging,prod]", "test,live=abcdefghijklmnopqrst"),
        ("Project ref of test", ""),
        ("Forge: github, gitlab, none [github]", ""),
        ("URL of Pulumi's backend, or empty for that of `pulumi login`", "s3://state"),
    ):
        terminal.wait_for(question)
        terminal.press("-l", "--", answer)
        terminal.press("Enter")

    shown = terminal.wait_for("left with 0")
    assert "Project ref of live" not in shown
    assert "  pulumi config set bubble-sync:projectRef <ref of the test project>" in shown
    assert yaml.safe_load((tmp_path / "shop/Pulumi.yaml").read_text())["name"] == "my-shop"
    assert "projectRef: abcdefghijklmnopqrst" in (tmp_path / "shop/Pulumi.live.yaml").read_text()


def test_ctrl_c_at_a_question_writes_nothing(terminal: Terminal, tmp_path: Path):
    terminal.type("bubble-sync init shop", tmp_path, os.environ)
    terminal.wait_for("Name of the project [shop]")
    terminal.press("C-c")

    terminal.wait_for("left with 130")
    assert not (tmp_path / "shop").exists()
