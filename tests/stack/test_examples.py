"""The programs of `examples/`, from the installed wheel, through the real Pulumi on the embedded platform."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bubble_sync.local.addresses import Addresses
from tests.fixtures.fleet import FOREIGN, PASSPHRASE, Fleet
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT
from tests.fixtures.wheel import Installed

EXAMPLES = CHECKOUT / "examples"
#: The program of another stack, which knows the project.
SUPABASE = (
    "import pulumi\nfor name in ('url', 'serviceRoleKey'):\n    pulumi.export(name, pulumi.Config().require(name))\n"
)


class Example(Fleet):
    """A copy of an example, as a person makes one."""

    def give(self, stack: str, addresses: Addresses, key: str = "") -> None:
        """Make a stack of its file, for the platform's project instead of a hosted one."""
        file = self.project / f"Pulumi.{stack}.yaml"
        config = yaml.safe_load(file.read_text())["config"]
        del config["bubble-sync:databaseCa"]
        self.environment[config["bubble-sync:databaseUrlEnv"]] = addresses.database_url
        if config.pop("bubble-sync:projectRef", None):
            config["bubble-sync:supabaseUrl"] = addresses.endpoint_url
        file.write_text(yaml.safe_dump({"config": config}))
        self.pulumi_init(stack)
        if key:
            self.set_key(stack, key)

    def pulumi_init(self, stack: str) -> None:
        self.run("pulumi", "stack", "init", stack, "--non-interactive")

    def up(self, stack: str) -> dict[str, Any]:
        """Converge a stack, hold it against a preview, and return its outputs."""
        self.pulumi(stack, "up", "--yes", "--skip-preview")
        self.pulumi(stack, "preview", "--expect-no-changes")
        found: dict[str, Any] = json.loads(self.pulumi(stack, "stack", "output", "--json"))
        return found


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, installed: Installed) -> Example:
    """The example of that name in a folder of its own, with the environment that the wheel was installed into."""
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / request.param, project, ignore=shutil.ignore_patterns(".venv", "uv.lock"))
    (project / ".venv").symlink_to(installed.environment)
    (tmp_path / "state").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    added = {
        "PATH": f"{installed.environment}/bin:{kept['PATH']}:{sys.prefix}/bin",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "UV_NO_SYNC": "1",
    }
    return Example(project, {**kept, **added})


def jobids(site: Site) -> dict[str, str]:
    return {row["jobname"]: str(row["jobid"]) for row in site.by_hand("select jobname, jobid from cron.job")}


@pytest.mark.parametrize("example", ["stock"], indirect=True)
def test_the_stock_stack_converges_and_its_commands_agree(example: Example, site: Site):
    example.give("dev", site.addresses, site.addresses.service_role_key)

    assert example.up("dev")["jobids"] == jobids(site)
    example.run("bubble-sync", "diff", "--stack", "dev")
    example.run("bubble-sync", "drift", "--stack", "dev")


@pytest.mark.parametrize("example", ["own-program"], indirect=True)
def test_a_program_of_ones_own_takes_over_a_stock_stack_and_the_outputs_of_another_stack(
    example: Example, site: Site, tmp_path: Path
):
    supabase = Example(tmp_path / "supabase", example.environment)
    supabase.project.mkdir()
    (supabase.project / "Pulumi.yaml").write_text("name: supabase\nruntime: python\n")
    (supabase.project / ".venv").symlink_to(example.project / ".venv")
    (supabase.project / "__main__.py").write_text(SUPABASE)
    config = {"supabase:url": site.addresses.endpoint_url, "supabase:serviceRoleKey": site.addresses.service_role_key}
    (supabase.project / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    supabase.pulumi_init("dev")
    supabase.up("dev")

    # The stack as it was: the sync at its root, from the stack file.
    example.give("dev", site.addresses, site.addresses.service_role_key)
    program = (example.project / "__main__.py").read_text()
    shutil.copy(EXAMPLES / "stock" / "__main__.py", example.project)
    example.pulumi("dev", "config", "set", "bubble-sync:supabaseUrl", site.addresses.endpoint_url)
    before = example.up("dev")["jobids"]
    for key in ("supabaseUrl", "serviceRoleKey"):
        example.pulumi("dev", "config", "rm", f"bubble-sync:{key}")
    (example.project / "__main__.py").write_text(program)
    preview = example.pulumi("dev", "preview", "--json")
    steps = json.JSONDecoder().raw_decode(preview, preview.index("{"))[0]["steps"]
    changed = {
        step["urn"].split("::")[-1]: step["op"] for step in steps if step["op"] not in ("same", "read", "refresh")
    }

    assert changed == {"portal": "create", "sync-ledger": "update"}
    assert example.up("dev")["jobids"] == before == jobids(site)


@pytest.mark.parametrize("example", ["fleet"], indirect=True)
def test_each_stack_of_a_fleet_has_the_numbers_of_its_own_file(example: Example, site: Site, second_site: Site):
    example.give("staging", site.addresses, site.addresses.service_role_key)
    example.give("prod", second_site.addresses, second_site.addresses.secret_key)

    assert [example.up(stack)["maxItems"] for stack in ("staging", "prod")] == [10, 20]
    schedule = "select schedule from cron.job where jobname = 'bubble-sync-processor'"
    assert [each.by_hand(schedule)[0]["schedule"] for each in (site, second_site)] == ["* * * * *", "*/2 * * * *"]
    example.run("bubble-sync", "drift", "--all-stacks")

    second_site.by_hand("update cron.job set active = false where jobname = 'bubble-sync-retry'")
    example.pulumi("staging", "preview", "--expect-no-changes")
    assert "bubble-sync-retry" in example.run("bubble-sync", "drift", "--all-stacks", expect=1)


def test_every_example_is_run_here():
    run = re.findall(r'\("example", \["([\w-]+)"\]', Path(__file__).read_text())
    assert sorted(run) == sorted(program.parent.name for program in EXAMPLES.glob("*/__main__.py"))
