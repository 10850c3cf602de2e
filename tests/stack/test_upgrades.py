"""A stack of an earlier version, out of its exported state and its database: nothing is made again."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack, folder_with_plugin

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
    union all select 'role ' || rolname, oid::text, rolpassword from pg_authid where rolname = 'bubble_monitor'
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

#: The functions with another body than in that version, by stack and resource; CHANGELOG has the reason. `observe` has
#: another setting of its own too.
GUARD = {"sync-functions-unanswered": "bubble_sync.unanswered", "sync-functions-settle": "bubble_sync.settle"}
CHANGED: dict[str, dict[str, str]] = {
    "alerts": {
        **GUARD,
        **{
            f"sync-alerts-{one}": f"bubble_sync.{one}"
            for one in ("alert", "alert_conditions", "alert_rejected", "alert_report", "post_alert")
        },
    },
    "access": {**GUARD, "sync-access-observe": "bubble_sync.observe"},
}


#: The alerts' functions that are new since.
MADE = ("alert_answer", "alert_deliver", "alert_holds")
#: The alerts' table has more columns since, which is a change of the ledger.
OF_ALERTS = {
    "sync-ledger": ["settings", "tables[1]"],
    **{f"sync-alerts-{one}": ["create"] for one in MADE},
}


def restore(stack: Stack, site: Site, name: str) -> None:
    """Bring back the configuration, the database and the state of a stack."""
    shutil.copyfile(STACKS / name / "Pulumi.local.yaml", stack.local.config_file)
    shown = json.loads(stack.local.pulumi("config", "--json", "--show-secrets").stdout)
    config = {key.removeprefix("bubble-sync:"): setting["value"] for key, setting in shown.items()}
    if "monitorPassword" in config:
        role = sql.SQL("create role bubble_monitor login password {}")
        site.by_hand(role.format(sql.Literal(config["monitorPassword"])).as_string())
    site.by_hand((STACKS / name / "database.sql").read_text("utf-8"), *HERE)
    with psycopg.connect(site.addresses.admin_url) as conn:
        for secret, key in SECRETS.items():
            conn.execute(ENCRYPT, {"name": secret, "value": config.get(key)})
    text = (STACKS / name / "state.json").read_text("utf-8")
    file = stack.local.config_file.with_name("state.json")
    file.write_text(re.sub(r'"port": "\d+"', f'"port": "{site.addresses.database_port}"', text))
    stack.run("stack", "import", "--file", str(file))


def expect_no_settings(stack: Stack) -> None:
    """Ask by the database URL alone."""
    without = stack.ours("verify", "--database-url-env", DATABASE_URL_VARIABLE, alone=True)
    assert (without.returncode, without.stdout) == (2, "")
    assert "holds no settings yet: run `pulumi up --stack local` once" in without.stderr


def take_settings_away(stack: Stack, site: Site) -> None:
    """Ask by the database URL alone, and bring the ledger back to its earlier form."""
    found = stack.ours("verify", "--database-url-env", DATABASE_URL_VARIABLE, "--json", alone=True)
    assert {line["id"]: line["status"] for line in json.loads(found.stdout)["lines"]}["functions"] == "ok"
    site.by_hand(
        "delete from bubble_sync.ledger where object = 'settings'", "alter table bubble_sync.ledger drop settings"
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["alerts", "access"])
def test_a_stack_of_an_earlier_version_shows_the_changed_functions_alone_and_nothing_is_made_again(
    stack: Stack, site: Site, name: str, tmp_path: Path
):
    environment = {**stack.local.environment, "PGPASSWORD": site.addresses.password}
    stack.local = replace(stack.local, checkout=folder_with_plugin(tmp_path / "access"), environment=environment)
    restore(stack, site, name)
    before, jobids = site.by_hand(OBJECTS), stack.outputs()["jobids"]

    changes = {"sync-ledger": ["settings"], **{resource: ["body"] for resource in CHANGED[name]}}
    changes |= {"sync-access-observe": ["body", "config[1]"]} if name == "access" else {}
    drift = stack.drift()
    if name == "alerts":
        assert {place.partition("[")[0] for place in drift.pop("sync-prerequisites")} == {"objects"}
        changes |= OF_ALERTS
    assert drift == changes
    expect_no_settings(stack)
    stack.up()
    stack.expect_no_changes()
    stack.run("up", "--yes", "--skip-preview", "--expect-no-changes")

    take_settings_away(stack, site)
    after = site.by_hand(OBJECTS)
    changed = {row["object"].removeprefix("in the ledger: ").partition("(")[0] for row in after if row not in before}
    made = {f"function bubble_sync.{one}" for one in MADE if name == "alerts"}
    assert changed == {f"function {function}" for function in CHANGED[name].values()} | made
    old, new = ({row["object"]: row["id"] for row in rows} for rows in (before, after))
    assert old.items() <= new.items()
    assert {one.removeprefix("in the ledger: ").partition("(")[0] for one in new.keys() - old.keys()} == made
    assert stack.outputs()["jobids"] == jobids
    assert {row["object"] for row in before} >= {
        "job bubble-sync-processor",
        "secret supabase_url",
        "table bubble_sync.ledger",
    }
