"""Which stacks a change touches, and what of a stack's file a fork's rehearsal gets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from bubble_sync.ci.touched import touched, touched_stacks
from bubble_sync.config.settings import SECRET_KEYS, StackSettings
from bubble_sync.errors import ConfigurationError
from tools import sanitised_stack

STACKS = ["prod", "staging"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], []),
        (["README.md", "docs/guides/ci.md", "tests/unit/test_keys.py", "bench/measure.py"], []),
        (["Pulumi.local.yaml"], []),
        (["Pulumi.prod.yaml"], ["prod"]),
        (["Pulumi.prod.yaml", "docs/guides/ci.md"], ["prod"]),
        (["Pulumi.prod.yaml", "Pulumi.staging.yaml"], STACKS),
        (["Pulumi.gone.yaml"], []),
        (["Pulumi.gone.yaml", "Pulumi.prod.yaml"], ["prod"]),
        (["Pulumi.yaml"], STACKS),
        (["__main__.py"], STACKS),
        (["sql/functions/send.sql"], STACKS),
        (["uv.lock"], STACKS),
        (["supabase-ca.crt"], STACKS),
        (["components/README.md"], STACKS),
        (["examples/Pulumi.prod.yaml"], STACKS),
        (["something/nobody/thought.of"], STACKS),
        (["Pulumi.prod.yaml", "bubble_sync/compare.py"], STACKS),
        ([".github/workflows/ci.yml", "UPGRADING.md"], []),
        # Of a repository with the project in a folder: the lock file of a workspace, and other folders.
        (["../uv.lock"], STACKS),
        (["../../pyproject.toml"], STACKS),
        (["../README.md", "../web/app.ts", "../docs/a.md", "../Pulumi/x.py"], []),
    ],
)
def test_a_stacks_file_touches_that_stack_and_code_touches_all(changed: list[str], expected: list[str]) -> None:
    assert touched(changed, STACKS) == expected


def test_the_files_of_stacks_may_be_in_a_folder_of_their_own() -> None:
    assert touched(["stacks/Pulumi.prod.yaml", "stacks/Pulumi.local.yaml"], STACKS, "stacks") == ["prod"]
    assert touched(["Pulumi.prod.yaml"], STACKS, "stacks") == STACKS


def git(project: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.strip()


def commit(project: Path, **files: str) -> str:
    for name, text in files.items():
        (project / f"Pulumi.{name}.yaml").write_text(text)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "a change")
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    commit(tmp_path, staging="a: 1\n", prod="a: 1\n", local="a: 1\n")
    return tmp_path


def test_what_the_base_did_meanwhile_is_not_the_branchs_change(
    project: Path,
) -> None:
    git(project, "checkout", "--quiet", "-b", "branch")
    commit(project, prod="a: 2\n")
    git(project, "checkout", "--quiet", "main")
    commit(project, staging="a: 3\n")
    git(project, "checkout", "--quiet", "branch")

    assert touched_stacks(project, "main") == ["prod"]


def test_a_stack_that_was_renamed_or_removed_is_not_read_any_more(project: Path) -> None:
    git(project, "mv", "Pulumi.staging.yaml", "Pulumi.test.yaml")
    git(project, "rm", "--quiet", "Pulumi.prod.yaml")
    commit(project)

    assert touched_stacks(project, "HEAD~1") == ["test"]


def test_of_a_project_in_a_folder_of_a_repository_its_own_files_count(project: Path) -> None:
    (project / "infra").mkdir()
    (project / "infra" / "Pulumi.yaml").write_text("name: x\n")
    for name in ("prod", "staging"):
        (project / "infra" / f"Pulumi.{name}.yaml").write_text("a: 1\n")
    base = commit(project)
    (project / "app.ts").write_text("1")
    (project / "web").mkdir()
    (project / "web" / "app.ts").write_text("1")
    (project / "infra" / "Pulumi.prod.yaml").write_text("a: 2\n")
    commit(project)

    assert touched_stacks(project / "infra", base) == ["prod", "staging"], "a file above the project may be its lock"
    (project / "app.ts").unlink()
    commit(project)
    assert touched_stacks(project / "infra", base) == ["prod"]


@pytest.mark.parametrize("base", ["origin/nowhere", "", " ", "--output=taken", "-h"])
def test_a_base_that_git_does_not_know_is_one_line(project: Path, base: str) -> None:
    with pytest.raises(ConfigurationError, match=f"git does not know what changed since '{base}': fetch"):
        touched_stacks(project, base)
    assert not [path for path in project.iterdir() if path.name.startswith("taken")]


def test_the_name_of_a_changed_file_may_be_in_any_encoding(project: Path) -> None:
    Path(os.fsdecode(os.fsencode(project) + b"/\xff.py")).touch()
    commit(project)

    assert touched_stacks(project, "HEAD~1") == ["prod", "staging"]


PLATFORM = {
    "encryptionsalt": "v1:platform",
    "config": {
        "bubble-sync:databaseUrlEnv": "BUBBLE_SYNC_LOCAL_DATABASE_URL",
        "bubble-sync:supabaseUrl": "http://127.0.0.1:1",
        "bubble-sync:serviceRoleKey": {"secure": "v1:throw-away"},
    },
}


def test_the_sanitised_copy_keeps_numbers_and_names_and_nothing_that_leads_to_a_project() -> None:
    stack = {
        "secretsprovider": "awskms://alias/ours",
        "encryptedkey": "AQIDBAUG",
        "encryptionsalt": "v1:ours",
        "config": {
            "bubble-sync:projectRef": "prodprodprodprodprod",
            "bubble-sync:serviceRoleKey": {"secure": "v1:ours"},
            "bubble-sync:databaseUrl": {"secure": "v1:ours"},
            "bubble-sync:databaseUrlEnv": "BUBBLE_SYNC_PROD_DATABASE_URL",
            "bubble-sync:databaseCa": "supabase-ca.crt",
            "bubble-sync:supabaseUrlName": "project_url",
            "bubble-sync:processor": {"maxItems": 20, "schedule": "*/2 * * * *"},
            "bubble-sync:retry": {"timeoutMs": {"secure": "v1:ours"}},
            "postgresql:password": {"secure": "v1:ours"},
            "postgresql:host": "db.prodprodprodprodprod.supabase.co",
        },
    }

    made = sanitised_stack.sanitised(stack, PLATFORM)

    assert made == {
        "encryptionsalt": "v1:platform",
        "config": {
            **PLATFORM["config"],
            "bubble-sync:supabaseUrlName": "project_url",
            "bubble-sync:processor": {"maxItems": 20, "schedule": "*/2 * * * *"},
        },
    }


def test_a_secret_that_stands_in_the_file_in_clear_is_left_out_too() -> None:
    stack = {"config": {f"bubble-sync:{key}": "in clear" for key in SECRET_KEYS}}

    assert sanitised_stack.sanitised(stack, PLATFORM) == PLATFORM
    assert sanitised_stack.sanitised({}, PLATFORM) == PLATFORM


def test_what_is_left_out_are_keys_of_the_settings() -> None:
    known = {field.alias for field in StackSettings.model_fields.values()}

    assert known >= sanitised_stack.LEFT_OUT


def test_the_copy_is_printed_as_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "stack.yaml", tmp_path / "platform.yaml"]
    files[0].write_text("config:\n  bubble-sync:adopt: never\n")
    files[1].write_text(yaml.safe_dump(PLATFORM))

    assert sanitised_stack.main([str(file) for file in files]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["config"]["bubble-sync:adopt"] == "never"
