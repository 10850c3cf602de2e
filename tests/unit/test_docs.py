"""The documents say what is: keys, commands, targets and links are held against the product."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bubble_sync.cli.app import app
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.project_ref import is_project_ref
from bubble_sync.config.settings import SECRET_KEYS, StackSettings, read_settings
from bubble_sync.errors import ConfigurationError
from bubble_sync.local.postgres.installation import HOSTED_MAJOR, OLDEST_MAJOR
from tests.fixtures.specs import config
from tools import checks_page, errors_page
from tools.config_table import BEGIN, END, config_table
from tools.support import SUPPORTED

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (ROOT / "docs/reference/commands.md").read_text("utf-8")
CONFIGURATION = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMING = (".py", ".sql", ".sh", ".md", ".yml", ".yaml", ".toml", "Makefile", "tools/setup")
STACKS = ("local", "staging", "prod")
KEYS = {f"{NAMESPACE}:{field.alias}" for field in StackSettings.model_fields.values()}


def commands(group: Any, words: tuple[str, ...] = ("bubble-sync",)) -> Iterator[str]:
    """Every command that help lists, without its arguments."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        elif not command.hidden:
            yield " ".join((*words, name))


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings give on GitHub."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def make_targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def read_yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text("utf-8"))
    return loaded


def stack_config(stack: str) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(f"Pulumi.{stack}.yaml")["config"]
    return found


def in_commands_table(command: str) -> bool:
    return re.search(rf"^\| `{re.escape(command)}[ `]", COMMANDS, re.MULTILINE) is not None


def test_the_config_table_is_the_one_that_the_settings_give():
    between = CONFIGURATION.split(BEGIN)[1].split(END)[0]

    assert between.strip() == config_table(), "python -m tools.config_table prints it"


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(app))))
def test_a_command_of_the_command_line_is_on_the_page_of_commands(command: str):
    assert in_commands_table(command)


@pytest.mark.parametrize("target", make_targets())
def test_a_target_of_the_makefile_is_on_the_page_of_commands(target: str):
    assert in_commands_table(f"make {target}")


def test_the_page_of_commands_has_no_other_row():
    known = {*commands(typer.main.get_command(app)), *(f"make {target}" for target in make_targets())}
    named = re.findall(r"^\| `((?:bubble-sync|make) [^`]*)` \|", COMMANDS, re.MULTILINE)

    assert {re.sub(r" [A-Z].*", "", one) for one in named} == known


# The changelog names commands of earlier versions.
@pytest.mark.parametrize(
    "page", sorted({*PAGES} - {ROOT / "CHANGELOG.md"}), ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_command_that_a_page_shows_exists(page: Path):
    known = {tuple(command.split()[1:]) for command in commands(typer.main.get_command(app))}
    groups = {words[:1] for words in known if len(words) == 2}
    text = page.read_text("utf-8")
    typed = [
        words.split() for words in re.findall(r"(?:`|^\$ (?:uv run )?)bubble-sync((?: [a-z][a-z-]*)+)", text, re.M)
    ]

    assert [
        words for words in typed if not {tuple(words[:1]), tuple(words[:2])} & known and tuple(words) not in groups
    ] == []


def test_the_project_file_has_no_configuration_of_its_own():
    """A key there without a value fails every stack that lacks it."""
    assert "config" not in read_yaml("Pulumi.yaml")


def test_the_project_file_lets_a_plain_up_see_changes_by_hand():
    assert read_yaml("Pulumi.yaml")["options"] == {"refresh": "always"}


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_has_known_keys_an_address_of_its_own_and_no_plaintext_secret(stack: str):
    found = stack_config(stack)

    assert set(found) <= KEYS
    assert found[f"{NAMESPACE}:databaseUrlEnv"] == f"BUBBLE_SYNC_{stack.upper()}_DATABASE_URL"
    for key in SECRET_KEYS:
        assert set(found.get(f"{NAMESPACE}:{key}", {"secure"})) == {"secure"}


def test_the_page_about_supabase_start_shows_the_stack_file_of_the_example():
    file = ROOT / "examples/supabase-start/Pulumi.supabase-local.yaml"
    found = yaml.safe_load(file.read_text("utf-8"))["config"]

    assert f"```yaml\n{file.read_text('utf-8')}```" in (ROOT / "docs/guides/supabase-start.md").read_text("utf-8")
    assert set(found) <= KEYS - {f"{NAMESPACE}:{key}" for key in SECRET_KEYS}


def test_the_hosted_stacks_have_the_same_keys_each_with_its_own_project():
    staging, prod = stack_config("staging"), stack_config("prod")

    assert set(staging) == set(prod)
    refs = [one[f"{NAMESPACE}:projectRef"] for one in (staging, prod)]
    assert refs[0] != refs[1]
    assert all(ref.startswith("<") or is_project_ref(ref) for ref in refs)


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_placeholder_that_was_left_is_refused(stack: str):
    with pytest.raises(
        ConfigurationError, match=f"projectRef: '<set the ref of the {stack} project>' is not a project"
    ):
        read_settings(config(projectRef=f"<set the ref of the {stack} project>"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_to_a_heading_of_it(page: Path):
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", page.read_text("utf-8"))
    targets = [((page.parent / file).resolve() if file else page, heading) for file, heading in links]

    assert [str(target) for target, _ in targets if not target.exists()] == []
    assert [heading for target, heading in targets if heading and heading not in anchors(target)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_file_of_the_tree_that_a_page_names_is_there(page: Path):
    folders = "tests|sql|ci|bench|bubble_sync|tools|components"
    named = re.findall(rf"`((?:{folders})/[^`\s*<>{{}}:#]+)", page.read_text("utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_a_page_that_the_product_or_the_changelog_names_is_there():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in tracked.stdout.split("\0") if name.endswith(NAMING)]
    named = {name for file in files for name in re.findall(r"(?<![\w/.])docs/[\w/-]+\.md", file.read_text("utf-8"))}

    assert "docs/guides/keys.md" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_index_leads_to_every_page():
    index = ROOT / "docs/README.md"
    linked = {(index.parent / file).resolve() for file in re.findall(r"\]\(([^)#]+)", index.read_text("utf-8"))}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name != "adr"} - {index}

    folders = {page.parent.name for page in pages if page.name != "reliability.md"}
    assert folders == {"getting-started", "guides", "reference", "explanation"}
    assert sorted(str(page) for page in pages - linked) == []


def test_the_table_of_servers_has_every_supported_version_and_says_which_ci_runs():
    page = (ROOT / "docs/reference/support.md").read_text("utf-8")
    proofs = {int(major): proof for major, proof in re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", page, re.MULTILINE)}
    in_ci = {
        int(major) for major in re.findall(r"^POSTGRES=(\d+)", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)
    }

    assert sorted(proofs) == list(SUPPORTED)
    assert (SUPPORTED[0], SUPPORTED[-1]) == (OLDEST_MAJOR, HOSTED_MAJOR)
    assert {major for major, proof in proofs.items() if proof.startswith("CI: ")} == in_ci


def test_the_map_of_the_tree_has_every_folder_of_the_package():
    rows = re.findall(r"^\| (`[^|]*`) \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    mapped = {name for row in rows for name in re.findall(r"`bubble_sync/([a-z_]+)/`", row)}

    assert mapped == {file.parent.name for file in (ROOT / "bubble_sync").glob("*/__init__.py")}


@pytest.mark.parametrize("record", sorted((ROOT / "docs/explanation/adr").glob("*.md")), ids=lambda record: record.stem)
def test_a_decision_has_the_parts_of_the_template_on_one_screen(record: Path):
    lines = record.read_text("utf-8").splitlines()

    assert len(lines) <= 25
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]


def test_the_page_of_checks_is_as_the_files_say():
    assert (ROOT / "docs/reference/checks.md").read_text("utf-8") == checks_page.page()


def test_the_page_of_errors_is_the_one_that_the_product_decides_by():
    assert (ROOT / "docs/reference/errors.md").read_text("utf-8") == errors_page.page()
