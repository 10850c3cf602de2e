"""What the wheel installs, and what a program of one's own sees of it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

import bubble_sync
from tests.fixtures.stack import CHECKOUT
from tests.fixtures.wheel import Installed

PUBLIC = "from bubble_sync import SyncSetup, SyncSetupArgs, __version__, read_stack\n"
LOADED = "import sys\nprint(sorted({'pulumi', 'psycopg', 'pydantic', 'httpx'} & set(sys.modules)))\n"
PROGRAM = f"""
from dataclasses import replace

import pulumi

from bubble_sync.components import AlertsArgs, AlertSettings, ProcessorSettings, RetrySettings, VaultSecretsArgs
from components import OWN
{PUBLIC}
settings, project_ref = read_stack()
args = SyncSetupArgs.of(settings, project_ref)
secrets = VaultSecretsArgs(supabase_url=settings.url, service_role_key=pulumi.Output.secret("key"))
jobs = replace(args, processor=ProcessorSettings(max_items=11), retry=RetrySettings(active=False))
alerts = AlertsArgs(webhook_url=pulumi.Output.secret("url"), numbers=AlertSettings(new_failures=3))
sync = SyncSetup("sync", replace(jobs, secrets=secrets, alerts=alerts), pulumi.ResourceOptions(protect=OWN))
pulumi.export("jobids", sync.jobids)
pulumi.export("version", __version__.upper())
"""


WITH_ROLE = f"""
import pulumi

from bubble_sync.components import AccessArgs, VaultSecretsArgs
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.database_url import session_address
{PUBLIC}
server = session_address(read_database_url("postgresql://postgres:secret@db.example.com/postgres"))
access = AccessArgs(monitor_role="watcher", monitor_password="0123456789abcdef", server=server)
secrets = VaultSecretsArgs(supabase_url="https://example.com", service_role_key="key")
try:
    SyncSetup("sync", SyncSetupArgs(secrets=secrets, access=access))
except pulumi.RunError as error:
    print(error)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a program, and with a package `components` that is not ours."""
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "__init__.py").write_text("OWN = True\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def names_in(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_installs_one_top_level_name(installed: Installed):
    dist_info = f"bubble_sync-{version('bubble-sync')}.dist-info"
    assert {name.split("/")[0] for name in names_in(installed.wheel)} == {"bubble_sync", dist_info}


def test_the_wheel_holds_every_tracked_file_of_the_package_and_nothing_else(installed: Installed):
    folders = {
        "bubble_sync": "bubble_sync",
        "components": "bubble_sync/components",
        "sql": "bubble_sync/_sql",
        "template": "bubble_sync/_template",
    }
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=CHECKOUT, text=True, capture_output=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    expected = {f"{folders[folder]}/{rest}" for folder, _, rest in (name.partition("/") for name in listed)}
    held = {name for name in names_in(installed.wheel) if ".dist-info/" not in name}

    assert held == expected - {"bubble_sync/components.py"}
    # The page of the report, the emulators' SQL, the SQL of the set-up, the marker of types.
    assert held > {
        "bubble_sync/cli/render/pages/report.html",
        "bubble_sync/local/pg_net/extension/worker.sql",
        "bubble_sync/local/sql/roles.sql",
        "bubble_sync/_sql/queries/observe.sql",
        "bubble_sync/_sql/reference/claim.sql",
        "bubble_sync/py.typed",
    }


def test_a_program_with_components_of_its_own_gets_ours_from_the_package(installed: Installed, own: Path):
    modules = "from components import OWN\nprint(OWN, SyncSetup.__module__, read_stack.__module__, __version__)"
    done = installed.run("python", "-c", PUBLIC + modules, folder=own)

    ours = "bubble_sync.components.sync_setup bubble_sync.components.program"
    assert (done.stdout, done.stderr) == (f"True {ours} {version('bubble-sync')}\n", "")


def test_a_checkout_has_the_same_names_and_one_module_for_each():
    modules = "import components\nprint(SyncSetup is components.SyncSetup, read_stack.__module__, __version__)"
    done = subprocess.run([sys.executable, "-c", PUBLIC + modules], cwd=CHECKOUT, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == (f"True components.program {version('bubble-sync')}\n", "")


def test_the_package_alone_imports_neither_pulumi_nor_a_driver(installed: Installed, own: Path):
    for python, folder in ((installed.python, own), (Path(sys.executable), CHECKOUT)):
        code = f"import bubble_sync; bubble_sync.__version__\n{LOADED}"
        assert subprocess.check_output([python, "-c", code], cwd=folder, text=True) == "[]\n"


def test_a_name_that_the_package_has_not_is_an_attribute_error():
    import bubble_sync

    with pytest.raises(AttributeError, match="module 'bubble_sync' has no attribute 'Sync'"):
        _ = bubble_sync.Sync  # type: ignore[attr-defined]


def test_a_program_of_ones_own_passes_strict_type_checks(installed: Installed, own: Path):
    def mypy() -> str:
        command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed.python, "program.py"]
        return subprocess.run(command, cwd=own, text=True, capture_output=True, check=False).stdout

    assert mypy() == "Success: no issues found in 1 source file\n"

    # The types are known, not merely let pass.
    (own / "program.py").write_text(f"{PROGRAM}\nsync.jobids.upper()\nsettings.nothing\n")
    assert mypy().splitlines()[-1].startswith("Found 2 errors")


@pytest.mark.parametrize(
    "program",
    [*sorted((CHECKOUT / "examples").glob("*/__main__.py")), CHECKOUT / "template/__main__.py"],
    ids=lambda it: it.parent.name,
)
def test_the_examples_and_the_template_pass_strict_type_checks(installed: Installed, program: Path, tmp_path: Path):
    command = ["-m", "mypy", "--strict", "--python-executable", installed.python, program]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.stdout == "Success: no issues found in 1 source file\n"


def test_a_role_that_a_program_asks_for_itself_needs_the_extra_and_one_line_says_so(installed: Installed, own: Path):
    done = installed.run("python", "-c", WITH_ROLE, folder=own)

    wanted = "bubble-sync:access.monitorRole needs the package pulumi-postgresql: run `make setup`, which installs it "
    assert done.stdout == f"{wanted}for a stack file with access, or install bubble-sync[access]\n", done.stderr


def test_the_wheel_offers_one_extra(installed: Installed, own: Path):
    code = "from importlib.metadata import metadata; print(*metadata('bubble-sync').get_all('Provides-Extra'))"
    assert installed.run("python", "-c", code, folder=own).stdout == "access\n"


def test_a_checkout_that_is_not_installed_has_a_version_too(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert bubble_sync.__version__ == "0+unknown"
