"""A stack of an earlier version, out of its exported state and its database: the code of today changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack

STACKS = CHECKOUT / "tests/fixtures/upgrades"
OBJECTS = """
    select 'job ' || jobname as object, jobid::text as id, job::text as content from cron.job
    union all select 'function ' || oid::regprocedure, oid::text, md5(concat(prosrc, proacl, proconfig)) from pg_proc
        where pronamespace = 'bubble_sync'::regnamespace or proname ~ 'bubble_sync'
    union all select 'table ' || oid::regclass, oid::text, relacl::text from pg_class
        where relnamespace = 'bubble_sync'::regnamespace
    union all select 'extension ' || extname, oid::text, extversion from pg_extension
    union all select 'secret ' || name, id::text, concat(updated_at, secret) from vault.secrets
    union all select 'in the ledger: ' || object, claim, row::text from bubble_sync.ledger as row
    order by object
"""
#: What pg_dump takes for granted: a server with the same port, and without default privileges.
HERE = (
    "update cron.job set nodeport = current_setting('port')::integer",
    "revoke all on all functions in schema public from anon, authenticated, service_role",
)
#: As the superuser: the rows are encrypted with a key that this server does not have.
ENCRYPT = "update vault.secrets set secret = vault._encrypted(id, %(value)s, nonce) where name = %(name)s"
SECRETS = {
    "supabase_url": "supabaseUrl",
    "service_role_key": "serviceRoleKey",
    "bubble_sync_alert_webhook_url": "alertWebhookUrl",
}


def restore(stack: Stack, site: Site, folder: Path) -> None:
    """Bring back the database, the configuration and the state of a stack."""
    shutil.copyfile(folder / "Pulumi.local.yaml", stack.local.config_file)
    config = json.loads(stack.local.pulumi("config", "--json", "--show-secrets").stdout)
    site.by_hand((folder / "database.sql").read_text("utf-8"), *HERE)
    with psycopg.connect(site.addresses.admin_url) as conn:
        for name, key in SECRETS.items():
            conn.execute(ENCRYPT, {"name": name, "value": config[f"bubble-sync:{key}"]["value"]})
    stack.run("stack", "import", "--file", str(folder / "state.json"))


@pytest.mark.parametrize("name", ["alerts"])
def test_a_stack_of_the_version_before_shows_no_difference_and_nothing_is_made_again(
    stack: Stack, site: Site, name: str
):
    restore(stack, site, STACKS / name)
    before, jobids = site.by_hand(OBJECTS), stack.outputs()["jobids"]

    stack.expect_no_changes()
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")

    assert site.by_hand(OBJECTS) == before
    assert stack.outputs()["jobids"] == jobids
    assert {row["object"] for row in before} >= {
        "job bubble-sync-alerts",
        "secret supabase_url",
        "table bubble_sync.ledger",
    }
