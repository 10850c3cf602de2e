"""Databases that pg_dump and pg_restore carried to another cluster or another time, through the real Pulumi CLI."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from bubble_sync.local.platform import Platform
from tests.fixtures.restoring import dump, restore, with_vault_key_of
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

# Two clusters, dumped and restored: minutes, of which `make test` takes none.
pytestmark = pytest.mark.matrix

OLD, NEW = "oldoldoldoldoldoldol", "newnewnewnewnewnewne"
JOBIDS = "select jobname::text as name, jobid, active from cron.job order by jobid"
JOBS = [
    {"name": "bubble-sync-processor", "jobid": 1, "active": True},
    {"name": "bubble-sync-retry", "jobid": 2, "active": True},
]
SECRETS = "select name, decrypted_secret as value from vault.decrypted_secrets order by name"
CALLABLE = "select has_function_privilege('anon', 'public.invoke_bubble_sync_processor()', 'execute') as by_anon"
NOW_CALLABLE = {
    f"sync-functions-invoke_bubble_sync_{name}": [f"executors[{place}]" for place in range(3)]
    for name in ("processor", "retry")
}
"""What pg_restore leaves: the default privileges of the schema public give every new function to the API's roles."""
OTHER_VAULT_KEY = {f"sync-secrets-{name}": ["value"] for name in ("service_role_key", "supabase_url")}


def accept(refusal: str, site: Site) -> str:
    """Run the statement that a refusal prints, as the hosted role, and return the statement."""
    (statement,) = set(re.findall(r"accept it once: (update .*;)", refusal))
    with psycopg.connect(site.addresses.database_url) as connection:
        connection.execute(statement)
    return str(statement)


def test_a_project_that_moved_is_refused_once_and_then_gets_its_own_url_and_key(
    stack: Stack, site: Site, second_site: Site, tmp_path: Path
):
    stack.configure("supabaseUrl", f"https://{OLD}.supabase.co")
    stack.up()
    restore(dump(site, tmp_path / "backup"), second_site)
    moved = stack.through(second_site.addresses.database_url)
    moved.configure("supabaseUrl", f"https://{NEW}.supabase.co")
    moved.configure("serviceRoleKey", second_site.addresses.secret_key, secret=True)
    assert second_site.by_hand(CALLABLE) == [{"by_anon": True}]

    refusal = moved.up(expect=1)
    assert f"WrongEnvironment: the ledger in this database names project '{OLD}', but" in refusal
    assert second_site.by_hand(CALLABLE) == [{"by_anon": True}], "nothing was changed"
    assert '"stack"' not in accept(refusal, second_site)
    moved.up()

    moved.expect_no_changes()
    assert second_site.by_hand(JOBIDS) == JOBS
    assert second_site.by_hand(CALLABLE) == [{"by_anon": False}]
    assert second_site.by_hand(SECRETS) == [
        {"name": "service_role_key", "value": second_site.addresses.secret_key},
        {"name": "supabase_url", "value": f"https://{NEW}.supabase.co"},
    ]
    assert site.by_hand(SECRETS)[1]["value"] == f"https://{OLD}.supabase.co", "the old project is as it was"


def test_a_backup_restored_in_place_is_drift_that_up_repairs(converged: Stack, site: Site, tmp_path: Path):
    backup = dump(site, tmp_path / "backup")
    converged.configure("processor.maxItems", "25")
    converged.configure("retry.schedule", "*/10 * * * *")
    converged.up()

    restore(backup, site)

    drifted = converged.drift()
    assert drifted.pop("sync-jobs-bubble-sync-retry") == ["schedule"]
    assert drifted.pop("sync-functions-invoke_bubble_sync_processor") == [
        "body",
        *(f"executors[{n}]" for n in range(3)),
    ]
    assert drifted == {
        "sync-functions-invoke_bubble_sync_retry": NOW_CALLABLE["sync-functions-invoke_bubble_sync_retry"]
    }
    converged.up()
    converged.expect_no_changes()
    assert site.by_hand(JOBIDS) == JOBS


@pytest.mark.parametrize("keeps_vault_key", [True, False], ids=["with its Vault key", "without its Vault key"])
def test_a_paused_project_that_is_resumed_on_another_server_needs_one_up(
    converged: Stack, platform: Platform, site: Site, second_site: Site, tmp_path: Path, keeps_vault_key: bool
):
    platform.sign_up("ada@example.com")
    secrets = site.by_hand(SECRETS)
    backup = dump(site, tmp_path / "backup")

    paused = converged.through("postgresql://postgres:p@127.0.0.1:1/postgres")
    assert "Unreachable: cannot connect to the database" in paused.run("preview", expect=1)
    restore(backup, second_site)
    resumed = converged.through(second_site.addresses.database_url)
    with with_vault_key_of(site if keeps_vault_key else second_site, second_site):
        assert resumed.drift() == {**NOW_CALLABLE, **({} if keeps_vault_key else OTHER_VAULT_KEY)}
        resumed.up()

        resumed.expect_no_changes()
        assert second_site.by_hand(JOBIDS) == JOBS
        assert second_site.by_hand(SECRETS) == secrets
        with second_site.db.transaction("the next run") as conn:
            conn.execute("select public.invoke_bubble_sync_processor()")
        assert second_site.by_hand("select waiting from bubble_sync.dispatches") == [{"waiting": 1}], "the item waited"
