"""The programs of `examples/`, from the installed wheel, through the real Pulumi on the embedded platform."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.fixtures.example import Example, jobids, lay_out
from tests.fixtures.restoring import dump, restore
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT
from tests.fixtures.tools import require_tool
from tests.fixtures.wheel import Installed

EXAMPLES = CHECKOUT / "examples"
STAGING, BRANCH = "stagingstagingstagin", "branchbranchbranchbr"
#: The program of another stack, which knows the project.
SUPABASE = (
    "import pulumi\nfor name in ('url', 'serviceRoleKey'):\n    pulumi.export(name, pulumi.Config().require(name))\n"
)


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, installed: Installed) -> Example:
    """The example of that name in a folder of its own, with the environment that the wheel was installed into."""
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / request.param, project, ignore=shutil.ignore_patterns(".venv", "uv.lock"))
    return lay_out(project, installed.environment, tmp_path)


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
    shutil.copy(CHECKOUT / "template" / "__main__.py", example.project)
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


def url_of(ref: str) -> str:
    return f"https://{ref}.supabase.co"


def branch(site: Site, url: str = "") -> dict[str, str]:
    """Return the variables that `supabase branches get NAME -o env` prints."""
    return {
        "SUPABASE_URL": url or site.addresses.endpoint_url,
        "SUPABASE_SERVICE_ROLE_KEY": site.addresses.secret_key,
        "POSTGRES_URL": site.addresses.database_url,
    }


@pytest.mark.parametrize("example", ["preview-branches"], indirect=True)
def test_a_branch_has_a_stack_with_the_settings_of_staging_and_its_own_project_until_it_goes(
    example: Example, site: Site, second_site: Site
):
    example.give("staging", site.addresses, site.addresses.service_role_key)
    for key, value in (("alerts.newFailures", "5"), ("alertWebhookUrl", "https://hooks.example.com/staging")):
        secret = ["--secret"] if key == "alertWebhookUrl" else ["--path"]
        example.run("pulumi", "config", "set", "--stack", "staging", *secret, f"bubble-sync:{key}", value)
    before = example.up("staging")
    variables = branch(second_site)

    missing = {**variables, "SUPABASE_SERVICE_ROLE_KEY": ""}
    assert "SUPABASE_SERVICE_ROLE_KEY is not set" in example.run("./branch-up.sh", "pr-7", expect=2, **missing)
    example.run("./branch-up.sh", "pr-7", **variables)
    assert jobids(second_site)
    assert second_site.by_hand("select to_regproc('bubble_sync.alert') as alert") == [{"alert": None}]
    (body,) = second_site.by_hand("select prosrc from pg_proc where proname = 'invoke_bubble_sync_processor'")
    assert "max_items constant integer := 20;" in body["prosrc"]
    assert second_site.by_hand("select name, decrypted_secret as value from vault.decrypted_secrets order by 1") == [
        {"name": "service_role_key", "value": second_site.addresses.secret_key},
        {"name": "supabase_url", "value": second_site.addresses.endpoint_url},
    ]

    # The next push runs in a new checkout, which has no file of the branch's stack.
    (example.project / "Pulumi.pr-7.yaml").unlink()
    assert "21 unchanged" in example.run("./branch-up.sh", "pr-7", **variables)

    (example.project / "Pulumi.pr-7.yaml").unlink()
    example.run("./branch-down.sh", "pr-7", POSTGRES_URL=second_site.addresses.database_url)
    assert jobids(second_site) == {}
    assert "no stack named 'pr-7' found" in example.run("./branch-down.sh", "pr-7")
    assert "pr-7" not in example.run("pulumi", "stack", "ls")
    assert example.up("staging") == before


@pytest.mark.matrix
@pytest.mark.parametrize("example", ["preview-branches"], indirect=True)
def test_a_branch_made_with_data_is_refused_until_its_stack_takes_over_and_forgotten_when_its_database_is_gone(
    example: Example, site: Site, second_site: Site, tmp_path: Path
):
    example.give("staging", site.addresses, site.addresses.service_role_key)
    example.run("pulumi", "config", "set", "--stack", "staging", "bubble-sync:supabaseUrl", url_of(STAGING))
    example.up("staging")
    restore(dump(site, tmp_path / "backup"), second_site)
    ledger = "select distinct stack, project_ref from bubble_sync.ledger"
    inherited = jobids(second_site)
    require_tool("psql")

    refusal = example.run("./branch-up.sh", "pr-8", expect=1, **branch(second_site, url_of(BRANCH)))
    assert f"names project '{STAGING}' and stack 'staging', but" in refusal
    assert second_site.by_hand(ledger) == [{"stack": "staging", "project_ref": STAGING}]

    # A ref of some other project takes nothing over.
    other = {**branch(second_site, url_of(BRANCH)), "CLONED_FROM": BRANCH[::-1]}
    assert "WrongEnvironment" in example.run("./branch-up.sh", "pr-8", expect=1, **other)
    example.run("./branch-up.sh", "pr-8", **{**other, "CLONED_FROM": STAGING})
    assert second_site.by_hand(ledger) == [{"stack": "pr-8", "project_ref": BRANCH}]
    assert jobids(second_site) == inherited
    stored = second_site.by_hand(
        "select decrypted_secret as url from vault.decrypted_secrets where name = 'supabase_url'"
    )
    assert stored == [{"url": url_of(BRANCH)}]
    assert site.by_hand(ledger) == [{"stack": "staging", "project_ref": STAGING}]

    # Supabase has deleted the branch: no address is left.
    example.run("./branch-down.sh", "pr-8")
    assert "pr-8" not in example.run("pulumi", "stack", "ls")


def test_every_example_is_run_here():
    run = re.findall(r'\("example", \["([\w-]+)"\]', Path(__file__).read_text())
    assert sorted({*run}) == sorted(program.parent.name for program in EXAMPLES.glob("*/__main__.py"))
