"""How a command finds a stack and its settings, with an emulator for the Pulumi program where it would decrypt."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from bubble_sync.config.stacks import CONFIG_VARIABLE, Stack, all_stacks, locate_stack, parse_config
from bubble_sync.errors import ConfigurationError
from tests.fixtures.specs import REF, config


def shown(**changes: str | None) -> str:
    """What `pulumi config --json --show-secrets` prints."""
    values = {f"bubble-sync:{key}": {"value": one.text, "secret": one.secret} for key, one in config(**changes).items()}
    return json.dumps({**values, "aws:region": {"value": "eu", "secret": False}})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: bubble-sync\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    return tmp_path


def stack(project: Path, **environment: str) -> Stack:
    return locate_stack("staging", None, project, {"PATH": "", **environment})


def test_the_project_is_the_nearest_folder_above(project: Path):
    found = locate_stack("staging", None, project / "deep" / "er", {})

    assert (found.folder, found.config_file) == (project, project / "Pulumi.staging.yaml")


@pytest.mark.parametrize(
    "line", ["stackConfigDir: stacks", "stackConfigDir: 'stacks'  # ours", 'stackConfigDir: "stacks"']
)
def test_the_files_of_stacks_are_where_the_project_says(project: Path, line: str):
    (project / "Pulumi.yaml").write_text(f"name: bubble-sync\n{line}\n")
    (project / "stacks").mkdir()
    for name in ("local", "prod"):
        (project / "stacks" / f"Pulumi.{name}.yaml").write_text("config: {}\n")

    assert locate_stack("prod", None, project, {}).config_file == project / "stacks" / "Pulumi.prod.yaml"
    assert [one.name for one in all_stacks(project, {}, "local")] == ["prod"]


@pytest.mark.parametrize("name", [None, "staging"])
def test_a_folder_of_the_backend_that_is_missing_has_the_command_that_makes_it(project: Path, name: str | None):
    (project / "Pulumi.yaml").write_text("name: bubble-sync\nruntime: python\n")
    gone = project / "a state"
    environment = {**os.environ, "PULUMI_BACKEND_URL": f"file://{gone}?metadata=skip", "PULUMI_HOME": str(project)}
    environment.pop(CONFIG_VARIABLE, None)

    with pytest.raises(ConfigurationError) as raised:
        locate_stack(name, None, project, environment).config()

    assert str(raised.value).endswith(f"; make the folder: mkdir -p '{gone}'")
    assert "pulumi stack select" not in str(raised.value)


def test_a_stack_completes_commands_with_what_means_it(project: Path):
    file = project / "elsewhere.yaml"
    file.write_text("config: {}\n")

    told = locate_stack("shop/bubble-sync/staging", file, project, {}).completed("pulumi up, or bubble-sync diff")

    options = f"--stack shop/bubble-sync/staging --config-file {file}"
    assert told == f"pulumi up {options}, or bubble-sync diff {options}"


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_stack(project: Path, name: str):
    with pytest.raises(ConfigurationError, match="--stack is empty"):
        locate_stack(name, None, project, {})


def test_a_name_with_an_organisation_means_the_same_file(project: Path):
    found = locate_stack("shop/bubble-sync/staging", None, project, {})

    assert (found.name, found.config_file.name) == ("staging", "Pulumi.staging.yaml")
    assert found.options == ("--stack", "shop/bubble-sync/staging")


def test_a_configuration_file_elsewhere_is_handed_on(project: Path, tmp_path: Path):
    file = tmp_path / "deep" / "Pulumi.staging.yaml"
    file.write_text("config: {}\n")

    assert locate_stack("staging", file, project, {}).options == ("--stack", "staging", "--config-file", str(file))


def test_a_configuration_file_that_is_not_there_is_refused(project: Path):
    with pytest.raises(ConfigurationError, match="there is no configuration file"):
        locate_stack("staging", project / "nowhere.yaml", project, {})


def test_a_folder_outside_a_project_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"there is no Pulumi\.yaml"):
        locate_stack("staging", None, tmp_path, {})


def test_the_settings_come_from_the_variable_without_asking_pulumi(project: Path):
    settings = stack(project, **{CONFIG_VARIABLE: shown(databaseCa="ca.crt")}).settings()

    assert settings.project_ref == REF
    assert settings.database_ca == str(project / "ca.crt")


def test_all_missing_parts_are_named_at_once(project: Path):
    missing = shown(databaseCa="ca.crt", databaseUrlEnv="NO_SUCH_URL", serviceRoleKey=None)

    with pytest.raises(ConfigurationError) as refused:
        stack(project, **{CONFIG_VARIABLE: missing}).settings()

    said = str(refused.value).splitlines()[1:]
    assert [line.strip("- ").split(": ")[0] for line in said] == [
        "bubble-sync:serviceRoleKey",
        "the environment variable NO_SUCH_URL, named by bubble-sync:databaseUrlEnv, is not set",
        "bubble-sync:databaseCa",
    ]
    assert f"the file '{project / 'ca.crt'}' does not exist; save" in said[-1]


def test_both_missing_parts_of_an_address_are_named_at_once(project: Path):
    opened = stack(project, **{CONFIG_VARIABLE: shown(databaseCa="ca.crt", databaseUrlEnv="NO_SUCH_URL")})

    with pytest.raises(ConfigurationError, match=r"(?s)^2 things are missing.*NO_SUCH_URL.*databaseCa"):
        opened.settings().address(opened.environment)


@pytest.mark.parametrize("given", ["postgresql://postgres:hunter2@host/db", "hunter2 "])
def test_a_url_in_place_of_its_variable_is_never_shown(project: Path, given: str):
    wrong = shown(databaseUrlEnv=given, serviceRoleKey=None)

    with pytest.raises(ConfigurationError) as refused:
        stack(project, **{CONFIG_VARIABLE: wrong}).settings()

    assert "serviceRoleKey: not set" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("missing", [{}, {"serviceRoleKey": None}], ids=["alone", "next to another problem"])
def test_a_url_in_place_of_the_certificates_file_is_never_shown(project: Path, missing: dict[str, None]):
    opened = stack(project, **{CONFIG_VARIABLE: shown(databaseCa="postgresql://postgres:hunter2@host/db", **missing)})

    with pytest.raises(ConfigurationError, match="databaseCa: is not the path of a file; save") as refused:
        opened.settings()

    assert "hunter2" not in str(refused.value)


def test_a_command_that_changes_the_configuration_asks_pulumi_itself(project: Path):
    with pytest.raises(ConfigurationError, match="pulumi is not on PATH: install it"):
        stack(project, **{CONFIG_VARIABLE: shown()}).without_given_config().settings()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"bubble-sync:projectRef": "text"}'])
def test_a_variable_of_another_shape_is_refused_and_not_shown(text: str):
    with pytest.raises(ConfigurationError, match=f"{CONFIG_VARIABLE} is not what"):
        parse_config(text)


def test_secrets_that_were_not_decrypted_are_refused():
    with pytest.raises(ConfigurationError, match="bubble-sync:serviceRoleKey has no value"):
        parse_config('{"bubble-sync:serviceRoleKey": {"secret": true}}')


def test_what_pulumi_complains_of_is_said_in_one_line(project: Path):
    program = project / "pulumi"
    program.write_text(
        "#!/bin/sh\necho 'warning: old' >&2; echo \"error: no stack named 'staging' found\" >&2; exit 6\n"
    )
    program.chmod(0o755)

    with pytest.raises(
        ConfigurationError,
        match="configuration of stack 'staging': no stack named 'staging' found; make it with `pulumi stack init`",
    ):
        stack(project, PATH=str(project)).settings()


def test_a_file_that_names_no_stack_is_none(project: Path):
    for name in ("Pulumi..yaml", "Pulumi.local.yaml", "Pulumi.staging.yaml"):
        (project / name).write_text("config: {}\n")

    assert [one.name for one in all_stacks(project, {}, "local")] == ["staging"]


def test_an_up_ends_in_order_although_the_command_that_waits_for_it_was_killed(project: Path):
    """Otherwise its next line, into a pipe without a reader, ends it: the stack stays locked, and half is done."""
    for name in ("begun", "go", "done"):
        os.mkfifo(project / name)
    program = project / "pulumi"
    program.write_text(
        f"#!/bin/sh\ncd {project}\necho > begun\nread line < go\necho output\necho errors >&2\necho > done\n"
    )
    program.chmod(0o755)
    waiting = (
        "import os, pathlib\nfrom bubble_sync.config.stacks import run_pulumi\n"
        f"run_pulumi(['up'], pathlib.Path({str(project)!r}), {{'PATH': {str(project)!r}}})"
    )
    command = subprocess.Popen([sys.executable, "-c", waiting])
    (project / "begun").read_text()
    command.kill()
    command.wait()
    done = os.open(project / "done", os.O_RDONLY | os.O_NONBLOCK)
    (project / "go").write_text("\n")

    assert select.select([done], [], [], 30)[0], "the program was ended in the middle"
    os.close(done)
