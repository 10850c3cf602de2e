"""A project of an earlier version takes this one, as docs/guides/later-versions.md has it, and goes back."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.faults.upgrades import VERSIONS, program_of
from tests.fixtures.example import Example, jobids, lay_out
from tests.fixtures.fleet import copy_checkout
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT
from tests.fixtures.tools import require_tool
from tests.fixtures.wheel import Installed, add_runner, build_wheel
from tests.stack.test_new_project import ANSWERS
from tests.stack.test_upgrades import OBJECTS

# It asks the package index for all but bubble-sync.
pytestmark = pytest.mark.matrix

PAGE = (CHECKOUT / "docs/guides/later-versions.md").read_text("utf-8")
LATER = f"{version('bubble-sync')}.post1"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A package index with the version before, and a place for this one."""
    build_wheel(program_of(VERSIONS["before"], tmp_path / "source-before"), tmp_path / "wheels")
    source = tmp_path / "source"
    source.mkdir()
    copy_checkout(source)
    # Both have the number of the last release.
    file = source / "pyproject.toml"
    file.write_text(re.sub('^version = ".*"', f'version = "{LATER}"', file.read_text(), count=1, flags=re.MULTILINE))
    build_wheel(source, tmp_path / "later")
    return tmp_path / "wheels"


@pytest.fixture
def project(tmp_path: Path, wheels: Path, installed: Installed) -> Example:
    """A project with the version before, up on the platform."""
    done = installed.run("bubble-sync", "init", "shop-sync", *ANSWERS, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "shop-sync"
    project = lay_out(folder, folder / ".venv", tmp_path)
    project.environment |= {"UV_FIND_LINKS": str(wheels), "UV_PYTHON": sys.executable}
    require_tool("uv")
    project.run("uv", "sync", "--quiet")
    add_runner(folder / ".venv")
    return project


def installed_version(project: Example) -> str:
    return project.run("bubble-sync", "--version").strip()


def commands() -> list[str]:
    """The commands of the page, in order."""
    return re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)


def test_the_page_upgrades_a_project_and_no_object_gets_another_number(project: Example, site: Site, wheels: Path):
    project.give("staging", site.addresses, site.addresses.service_role_key)
    before, lock = project.up("staging"), (project.project / "uv.lock").read_bytes()
    numbers = {row["object"]: row["id"] for row in site.by_hand(OBJECTS)}
    assert installed_version(project) == version("bubble-sync")
    assert project.run("uv", "lock", "--upgrade-package", "bubble-sync").count("Updated") == 0
    for wheel in wheels.with_name("later").glob("*.whl"):
        shutil.copy(wheel, wheels)

    upgrade, sync, preview, up = commands()
    assert f"Updated bubble-sync v{version('bubble-sync')} -> v{LATER}" in project.run(*upgrade.split())
    project.run(*sync.split())
    assert installed_version(project) == LATER
    shown = project.pulumi("staging", *preview.split()[1:])
    assert "replace" not in shown
    assert "delete" not in shown
    project.pulumi("staging", *up.split()[1:], "--yes", "--skip-preview")

    assert project.up("staging")["jobids"] == before["jobids"] == jobids(site)
    after = {row["object"]: row["id"] for row in site.by_hand(OBJECTS)}
    assert numbers.items() <= after.items()
    project.run("bubble-sync", "drift", "--stack", "staging")

    (project.project / "uv.lock").write_bytes(lock)
    project.run("uv", "sync", "--quiet")
    assert installed_version(project) == version("bubble-sync")
    assert project.up("staging")["jobids"] == before["jobids"]


def test_the_wheel_alone_runs_in_an_environment_of_its_own(installed: Installed, tmp_path: Path):
    """As `uvx bubble-sync` does, from an index that has it."""
    source = {"UV_FIND_LINKS": str(installed.wheel.parent), "UV_PYTHON": sys.executable}
    project = Example(tmp_path, {**lay_out(tmp_path, tmp_path / ".venv", tmp_path).environment, **source})

    assert project.run("uv", "tool", "run", "bubble-sync", "--version").split()[-1] == version("bubble-sync")
    shown = project.run("uv", "tool", "run", "bubble-sync", "init", "shop-sync", *ANSWERS)
    assert "  uv sync && . .venv/bin/activate" in shown.splitlines()
    assert (tmp_path / "shop-sync" / ".github/workflows/bubble-sync.yml").is_file()
