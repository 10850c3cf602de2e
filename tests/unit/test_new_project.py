"""The template, and the project that `bubble-sync init` makes of it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bubble_sync.actions import new_project
from bubble_sync.actions.new_project import STACKS, TEMPLATE, WORKFLOWS, NewProject, Source, files_of, write_project
from bubble_sync.cli.ci import ci_app
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.settings import SECRET_KEYS, StackSettings
from bubble_sync.errors import ConfigurationError
from tests.fixtures.stack import CHECKOUT

REF = "abcdefghijklmnopqrst"
PLAIN = NewProject(name="shop-sync", stacks=dict.fromkeys(STACKS, ""), forge="github", backend="")
KEYS = {f"{NAMESPACE}:{field.alias}" for field in StackSettings.model_fields.values()}
#: What `bubble-sync init` is given where no terminal asks.
REPLACE_OWNER = 'note: replace OWNER in .github/workflows/bubble-sync.yml before CI runs: README.md, "CI"\n'
ANSWERS = ("--stacks", "staging,prod", "--forge", "github", "--backend", "")


def read(project: NewProject, file: str) -> Any:
    return yaml.safe_load(files_of(project)[file])


def init(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bubble-sync", "init", *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


class TestTheTemplate:
    def test_asks_for_keys_that_exist_and_marks_the_secret_ones(self):
        asked = yaml.safe_load((TEMPLATE / "Pulumi.yaml").read_text("utf-8"))["template"]["config"]

        assert set(asked) <= KEYS
        assert {key for key, one in asked.items() if one.get("secret")} == {
            key for key in asked if key.removeprefix(f"{NAMESPACE}:") in SECRET_KEYS
        }

    def test_is_the_only_one(self):
        assert "template" not in yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text("utf-8"))

    def test_lets_a_plain_up_see_changes_by_hand(self):
        ours, theirs = (yaml.safe_load((folder / "Pulumi.yaml").read_text("utf-8")) for folder in (CHECKOUT, TEMPLATE))

        assert {key: theirs[key] for key in ("runtime", "options")} == {
            key: ours[key] for key in ("runtime", "options")
        }

    @pytest.mark.parametrize("stack", STACKS)
    def test_has_the_stack_files_of_the_checkout(self, stack: str):
        file = f"Pulumi.{stack}.yaml"

        assert (TEMPLATE / file).read_bytes() == (CHECKOUT / file).read_bytes()

    def test_has_the_files_that_its_readme_lists(self):
        readme = files_of(PLAIN)["README.md"]
        listed = {
            name for row in re.findall(r"^\| (`.*`) \|", readme, re.MULTILINE) for name in re.findall("`(.*?)`", row)
        }

        assert listed - {"uv.lock", "supabase-ca.crt"} == set(files_of(PLAIN)) - {"README.md", ".gitignore"}


class TestTheAnswers:
    def test_of_the_template_itself_give_its_files_without_the_section_for_pulumi_new(self):
        made = files_of(PLAIN)

        for name, text in tree(TEMPLATE).items():
            if name == "Pulumi.yaml":
                text = text.partition("template:\n")[0]
            if name in {*made} | {WORKFLOWS["github"]}:
                assert made[name] == text.replace("${PROJECT}", "shop-sync"), name

    def test_name_the_project_everywhere(self):
        assert "${" not in re.sub(r"\$\{\{", "", "".join(files_of(PLAIN).values()))
        assert read(PLAIN, "Pulumi.yaml")["name"] == "shop-sync"
        assert files_of(PLAIN)["README.md"].startswith("# shop-sync\n")

    @pytest.mark.parametrize("name", ["1e3", "123", "null", "on", "0x1f", "Shop.sync_2"])
    def test_may_name_the_project_like_a_value_of_yaml(self, name: str):
        assert read(replace(PLAIN, name=name), "Pulumi.yaml")["name"] == name

    @pytest.mark.parametrize(
        "stacks", [("live",), ("dev", "staging", "prod"), ("prod", "staging"), ("aSTAGING", "b-2")]
    )
    def test_give_every_stack_its_file_and_its_variable(self, stacks: tuple[str, ...]):
        made = replace(PLAIN, stacks=dict.fromkeys(stacks, ""))
        files = files_of(made)

        assert {name for name in files if name.startswith("Pulumi.")} == {
            "Pulumi.yaml", *(f"Pulumi.{stack}.yaml" for stack in stacks),
        }  # fmt: skip
        for stack in stacks:
            config = read(made, f"Pulumi.{stack}.yaml")["config"]
            variable = f"BUBBLE_SYNC_{stack.upper().replace('-', '_')}_DATABASE_URL"
            assert config == {
                "bubble-sync:databaseCa": "supabase-ca.crt",
                "bubble-sync:databaseUrlEnv": variable,
                "bubble-sync:projectRef": f"<set the ref of the {stack} project>",
            }
        variables = {f"BUBBLE_SYNC_{stack.upper().replace('-', '_')}_DATABASE_URL" for stack in stacks}
        assert set(re.findall(r"BUBBLE_SYNC_\w+_DATABASE_URL", "".join(files.values()))) == variables
        assert sum(f"| `Pulumi.{stack}.yaml` |" in files["README.md"] for stack in stacks) == len(stacks)

    @pytest.mark.parametrize("ref", [REF, "123456789012", "1234567e890"])
    def test_give_a_stack_its_project_and_drop_the_step_that_sets_it(self, ref: str):
        made = replace(PLAIN, stacks={"staging": ref, "prod": ""})

        assert read(made, "Pulumi.staging.yaml")["config"]["bubble-sync:projectRef"] == ref
        assert read(made, "Pulumi.prod.yaml")["config"]["bubble-sync:projectRef"].startswith("<set")
        assert not [step for step in new_project.first_steps(made) if "projectRef" in step]
        assert [step for step in new_project.first_steps(PLAIN) if "projectRef" in step]

    @pytest.mark.parametrize(
        ("backend", "step"),
        [
            ("", "pulumi login    # or: export PULUMI_BACKEND_URL=..."),
            ("https://api.pulumi.com", "pulumi login"),
            ("file://~/pulumi-state?metadata=skip", "mkdir -p ~/pulumi-state"),
            ("file:///var/the state", "mkdir -p '/var/the state'"),
            ("s3://state?region=eu-central-1", ""),
        ],
    )
    def test_give_the_backend_and_the_step_that_it_needs(self, backend: str, step: str):
        made = replace(PLAIN, backend=backend)

        assert read(made, "Pulumi.yaml").get("backend", {}).get("url", "") == backend
        steps = [one for one in new_project.first_steps(made) if re.match("pulumi login|mkdir", one)]
        assert steps == ([step] if step else [])

    @pytest.mark.parametrize("forge", new_project.FORGES)
    def test_give_the_workflow_of_one_forge(self, forge: new_project.Forge):
        made = files_of(replace(PLAIN, forge=forge))

        wanted = [file for name, file in WORKFLOWS.items() if name == forge]
        assert [file for file in WORKFLOWS.values() if file in made] == wanted
        assert [file for file in WORKFLOWS.values() if file in made["README.md"]] == wanted
        assert ("\n## CI\n" in made["README.md"]) == bool(wanted)
        assert "\n## A later version\n" in made["README.md"]

    @pytest.mark.parametrize("forge", WORKFLOWS)
    def test_give_a_workflow_that_calls_commands_of_ours(self, forge: new_project.Forge):
        text = files_of(replace(PLAIN, forge=forge))[WORKFLOWS[forge]]
        called = set(re.findall(r"(?:bubble-sync ci|command:) (\w+)", text))

        assert {"preview", "plan", "apply", "drift"} <= called
        assert called <= {command.name or command.callback.__name__ for command in ci_app.registered_commands}

    @pytest.mark.parametrize("stacks", [("live",), ("prod", "staging"), ("dev", "staging", "prod")])
    @pytest.mark.parametrize("forge", WORKFLOWS)
    def test_give_the_workflow_every_stack_in_order(self, forge: new_project.Forge, stacks: tuple[str, ...]):
        workflow = read(replace(PLAIN, forge=forge, stacks=dict.fromkeys(stacks, "")), WORKFLOWS[forge])
        jobs = workflow.get("jobs", workflow)

        for job in (jobs["plan"], jobs["deploy"]):
            matrix = job["strategy"]["matrix"]["stack"] if forge == "github" else job["parallel"]["matrix"][0]["STACK"]
            assert matrix == list(stacks)
        steps = [step for job in jobs.values() if isinstance(job, dict) for step in job.get("steps", ())]
        reading = [step["env"] for step in steps if "PULUMI_CONFIG_PASSPHRASE" in step.get("env", ())]
        assert len(reading) == (4 if forge == "github" else 0)
        for environment in reading:
            variables = [name for name in environment if name.endswith("_DATABASE_URL")]
            assert variables == [f"BUBBLE_SYNC_{stack.upper()}_DATABASE_URL" for stack in stacks]
            assert all(environment[name] == f"${{{{ secrets.{name} }}}}" for name in variables)


@pytest.mark.parametrize(
    ("check", "answer", "problem"),
    [
        ("stacks", "staging,", "'' cannot name a stack; use letters, digits, _, . and -, as in staging,prod"),
        ("stacks", "a b", "'a b' cannot name a stack"),
        ("stacks", "-s", "'-s' cannot name a stack"),
        ("stacks", "../x", "'../x' cannot name a stack"),
        ("stacks", "local", "'local' means the platform on this machine"),
        ("stacks", "staging,staging", "two stacks would share the variable BUBBLE_SYNC_STAGING_DATABASE_URL"),
        ("stacks", "pr-1,pr_1", "two stacks would share the variable BUBBLE_SYNC_PR_1_DATABASE_URL"),
        ("stacks", "staging=SHOP", "'SHOP' is not a project ref; it is the part before .supabase.co"),
        ("stacks", "staging=short", "'short' is not a project ref"),
        ("name", "-shop", "'-shop' cannot name a project"),
        ("name", "a/b", "'a/b' cannot name a project"),
        ("name", "", "'' cannot name a project"),
        ("name", "a" * 101, "cannot name a project; use at most 100 letters"),
        ("forge", "GitHub", "'GitHub' is not a forge; choose one of github, gitlab, none"),
        ("backend", "~/state", "'~/state' is not a backend; give a URL that begins with azblob://, file://"),
        ("backend", "s3://", "'s3://' is not a backend"),
        ("backend", "http://pulumi.example.com", "is not a backend"),
        ("backend", "https://me:hunter2@pulumi.example.com", "the URL of the backend holds a password"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_without_its_password(check: str, answer: str, problem: str):
    with pytest.raises(ConfigurationError, match=re.escape(problem)) as refusal:
        getattr(new_project, f"check_{check}")(answer)

    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("option", ["--stacks", "--name", "--forge", "--backend"])
def test_a_refused_answer_writes_nothing(tmp_path: Path, option: str):
    done = init(tmp_path, "shop", *ANSWERS, option, "/")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: '/' ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "missing"),
    [((), "--stacks, --forge, --backend"), (("--stacks", "dev"), "--forge, --backend"), (ANSWERS[:4], "--backend")],
)
def test_without_a_terminal_the_missing_options_are_named(tmp_path: Path, given: tuple[str, ...], missing: str):
    done = init(tmp_path, "shop", *given)

    wanted = f"error: not a terminal: pass {missing}. Nothing was written.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)
    assert list(tmp_path.iterdir()) == []


class TestWriting:
    def test_lists_the_files_and_the_next_commands(self, tmp_path: Path):
        done = init(tmp_path, "new/shop sync", *ANSWERS)

        made = files_of(replace(PLAIN, name="shop-sync"))
        assert (done.returncode, done.stderr) == (0, REPLACE_OWNER)
        assert tree(tmp_path / "new/shop sync") == made
        first, following, *steps = done.stdout.splitlines()
        assert first == f"{len(made)} files in new/shop sync: {', '.join(made)}"
        assert (following, steps[0]) == ("next:", "  cd 'new/shop sync'")
        assert [step.strip() for step in steps[1:]] == new_project.first_steps(PLAIN)

    @pytest.mark.parametrize(
        ("forge", "backend", "noted"),
        [
            ("gitlab", "file://~/state", True),
            ("gitlab", "FILE://~/state", True),
            ("none", "file://~/state", False),
            ("gitlab", "s3://state", False),
        ],
    )
    def test_notes_a_backend_that_ci_cannot_reach(self, tmp_path: Path, forge: str, backend: str, noted: bool):
        done = init(tmp_path, "shop", "--stacks", "staging", "--forge", forge, "--backend", backend)

        note = "note: CI cannot reach a backend in a folder of this machine: choose a bucket or Pulumi Cloud for CI\n"
        assert (done.returncode, done.stderr) == (0, note if noted else "")

    def test_prints_what_the_page_about_set_up_shows(self, tmp_path: Path):
        page = (CHECKOUT / "docs/getting-started/set-up.md").read_text("utf-8")
        command, _, shown = page.partition("$ uvx bubble-sync init ")[2].partition("```")[0].partition("\n")

        assert init(tmp_path, *shlex.split(command)).stdout == shown

    def test_takes_the_folder_that_it_is_in_and_leaves_other_files_alone(self, tmp_path: Path):
        (tmp_path / "src").mkdir()
        (tmp_path / "src/app.py").write_text("ours")

        done = init(tmp_path, *ANSWERS, "--name", "shop")

        assert done.returncode == 0
        assert "cd " not in done.stdout
        assert tree(tmp_path) == {**files_of(replace(PLAIN, name="shop")), "src/app.py": "ours"}

    def test_notes_a_workflow_that_is_not_at_the_top_of_its_repository(self, tmp_path: Path):
        (tmp_path / ".git").mkdir()

        below, none, top = (init(tmp_path, *where) for where in (
            ("deep/er", *ANSWERS), ("none", *ANSWERS, "--forge", "none"), (".", *ANSWERS),
        ))  # fmt: skip

        assert below.stderr == REPLACE_OWNER + (
            f"note: a forge reads {WORKFLOWS['github']} only at the top of the repository: move it to {tmp_path}\n"
        )
        assert (none.stderr, top.stderr) == ("", REPLACE_OWNER)

    def test_again_overwrites_nothing_and_names_every_file(self, tmp_path: Path):
        init(tmp_path, *ANSWERS)
        (tmp_path / "Pulumi.yaml").write_text("mine")
        before = tree(tmp_path)

        done = init(tmp_path, *ANSWERS)

        assert (done.returncode, done.stdout) == (2, "")
        assert all(name in done.stderr for name in before)
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("kind", ["file", "folder", "link to nowhere", "link to a file"])
    @pytest.mark.parametrize("name", ["README.md", "Pulumi.prod.yaml"])
    def test_is_refused_by_anything_of_that_name(self, tmp_path: Path, name: str, kind: str):
        folder, path = tmp_path / "shop", tmp_path / "shop" / name
        folder.mkdir()
        (tmp_path / "elsewhere").write_text("theirs")
        if kind == "file":
            path.write_text("mine")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / ("nowhere" if "nowhere" in kind else "elsewhere"))

        with pytest.raises(ConfigurationError, match=rf"^in the way in .*: {name}\. Nothing was written"):
            write_project(folder, PLAIN)

        assert [one.name for one in folder.iterdir()] == [name]
        assert not (tmp_path / "nowhere").exists()
        assert (tmp_path / "elsewhere").read_text() == "theirs"

    @pytest.mark.parametrize("place", ["taken", "taken/below"])
    def test_is_refused_where_the_folder_is_a_file(self, tmp_path: Path, place: str):
        (tmp_path / "taken").write_text("mine")

        with pytest.raises(ConfigurationError, match=f"^{tmp_path}/taken is not a folder"):
            write_project(tmp_path / place, PLAIN)

    def test_that_fails_half_way_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        # The folder is made before, and the last file has a name that no file system takes.
        late = f"z{'z' * 300}"
        monkeypatch.setattr(new_project, "files_of", lambda _: {"a/b/first": "text", "second": "text", late: "text"})
        monkeypatch.setattr(new_project, "_in_the_way", lambda *_: iter(()))
        (tmp_path / "a").mkdir()

        with pytest.raises(ConfigurationError, match=r"cannot be written \(File name too long\)\. Nothing was kept"):
            write_project(tmp_path, PLAIN)

        assert [path.name for path in tmp_path.rglob("*")] == ["a"]


class TestItsSource:
    """A project that a package from a git repository makes gets the package from there, too."""

    GITHUB = Source("https://github.com/acme/bubble-sync.git", "v0.2.0", pinned=True)

    def test_is_in_the_dependency_and_in_the_workflow(self):
        files = files_of(replace(PLAIN, source=self.GITHUB))

        asked = tomllib.loads(files["pyproject.toml"])["project"]["dependencies"]
        assert asked == ["bubble-sync @ git+https://github.com/acme/bubble-sync.git@v0.2.0"]
        assert "uses: acme/bubble-sync@v0.2.0 " in files[WORKFLOWS["github"]]
        assert [name for name, text in files.items() if "OWNER" in text] == []

    def test_on_another_forge_leaves_the_owner_open(self):
        files = files_of(replace(PLAIN, source=Source("https://git.example.com/acme/b", "abc", pinned=False)))

        assert '"bubble-sync @ git+https://git.example.com/acme/b"' in files["pyproject.toml"]
        assert "OWNER/bubble-sync@" in files[WORKFLOWS["github"]]
        assert "`OWNER`" in files["README.md"]

    @pytest.mark.parametrize(
        ("told", "found"),
        [
            ({"url": GITHUB.url, "vcs_info": {"commit_id": "c0ffee", "requested_revision": "v0.2.0"}}, GITHUB),
            ({"url": GITHUB.url, "vcs_info": {"commit_id": "c0ffee"}}, Source(GITHUB.url, "c0ffee", pinned=False)),
            ({"url": "https://me:secret@github.com/acme/b", "vcs_info": {"commit_id": "c0ffee"}}, None),
            ({"url": "file:///work", "dir_info": {"editable": True}}, None),
            ({"url": "https://example.com/bubble_sync.whl", "archive_info": {}}, None),
            (None, None),
        ],
        ids=["revision", "no revision", "secret", "folder", "wheel", "index"],
    )  # fmt: skip
    def test_is_the_one_that_the_installer_noted(
        self, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any] | None, found: Source | None
    ):
        class Noted:
            def read_text(self, name: str) -> str | None:
                return json.dumps(told) if told else None

        monkeypatch.setattr(new_project, "distribution", lambda name: Noted())
        assert new_project.own_source() == found
