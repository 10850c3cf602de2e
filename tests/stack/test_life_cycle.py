"""One stack's life through the real Pulumi CLI, on a real database."""

from __future__ import annotations

import pytest

from bubble_sync.local.platform import Platform
from tests.fixtures.adoption import play, snapshot
from tests.fixtures.proxy import Proxy
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack, kill_tree

JOBS = "select jobid, jobname::text, schedule, active from cron.job order by jobid"
LEDGER = "select object, origin from bubble_sync.ledger order by object"
FRESH = [
    {"jobid": 1, "jobname": "bubble-sync-processor", "schedule": "* * * * *", "active": True},
    {"jobid": 2, "jobname": "bubble-sync-retry", "schedule": "*/5 * * * *", "active": True},
]
CONTENTS = """
    select md5(string_agg(entry, e'\\n' order by entry)) as digest from (
        select prosrc || coalesce(proacl::text, '') from pg_proc where pronamespace = 'public'::regnamespace
        union all select secret || updated_at::text from vault.secrets
        union all select job::text from cron.job
        union all select row::text from bubble_sync.ledger as row
    ) as everything (entry)
"""


def connections(platform: Platform) -> int:
    """Count the connections that the server has logged so far."""
    return platform.status().parts[0].log.read_bytes().count(b"connection received")


def test_a_stack_is_made_is_quiet_finds_drift_and_repairs_it(stack: Stack, site: Site):
    assert "+ 21 to create" in stack.run("preview")
    assert site.by_hand("select extname from pg_extension where extname = 'pg_cron'") == [], "a preview changes nothing"

    stack.up()
    stack.run("up", "--yes", "--expect-no-changes")
    assert site.by_hand(JOBS) == FRESH
    assert stack.outputs()["jobids"] == {"bubble-sync-processor": "1", "bubble-sync-retry": "2"}

    site.by_hand(
        "update cron.job set active = false, schedule = '0 0 * * *' where jobid = 1",
        "alter function public.invoke_bubble_sync_retry() security definer",
        "grant execute on function public.invoke_bubble_sync_retry() to anon",
        "select vault.update_secret(id, 'changed by hand') from vault.secrets where name = 'service_role_key'",
        "delete from vault.secrets where name = 'supabase_url'",
    )
    assert stack.drift() == {
        "sync-jobs-bubble-sync-processor": ["active", "schedule"],
        "sync-functions-invoke_bubble_sync_retry": ["executors[0]", "security"],
        "sync-secrets-service_role_key": ["value"],
        "sync-secrets-supabase_url": ["create"],
    }

    stack.up()
    stack.expect_no_changes()
    assert site.by_hand(JOBS) == FRESH


def test_a_broken_prerequisite_is_drift_that_up_refuses_without_touching_anything(converged: Stack, site: Site):
    site.by_hand(
        "alter table public.sync_queue rename column next_retry_at to next_try",
        "update cron.job set active = false where jobid = 2",
    )
    before = site.by_hand(CONTENTS)

    refusal = converged.up(expect=1)

    assert "PrerequisiteMissing: the database lacks requirements of the sync; nothing was changed" in refusal
    assert "column public.sync_queue.next_retry_at" in refusal
    assert "Traceback" not in refusal
    assert site.by_hand(CONTENTS) == before
    assert converged.drift() == {
        "sync-prerequisites": ["missing[0]"],
        "sync-jobs-bubble-sync-retry": ["active"],
    }

    site.by_hand("alter table public.sync_queue rename column next_try to next_retry_at")
    converged.up()
    converged.expect_no_changes()


def test_destroy_removes_what_was_made_and_says_what_it_keeps(converged: Stack, site: Site):
    site.by_hand("alter table public.sync_queue drop column error_message")

    said = converged.run("destroy", "--yes", "--skip-preview")

    for kept in ("extension pg_cron", "extension pg_net", "extension supabase_vault", "ledger"):
        assert said.count(f"kept {kept}: ") >= 1
    assert "kept job" not in said
    assert "kept prerequisites" not in said
    assert site.by_hand(JOBS) == []
    assert site.by_hand("select name from vault.secrets") == []
    assert site.by_hand("select proname from pg_proc where proname ~ 'bubble_sync' or proname = 'send'") == []
    assert [row["object"] for row in site.by_hand(LEDGER)] == [
        "extension pg_cron", "extension pg_net", "extension supabase_vault",
    ]  # fmt: skip


def test_destroy_leaves_no_job_without_its_function(converged: Stack, site: Site):
    """A job that somebody made keeps the function it calls, and the secrets that the function names."""
    with site.db.transaction("by hand") as conn:
        conn.execute("select cron.schedule('mine', '0 3 * * *', 'SELECT invoke_bubble_sync_retry()')")

    said = converged.run("destroy", "--yes", "--skip-preview")

    assert "kept function public.invoke_bubble_sync_retry: job mine calls it" in said
    assert "kept function bubble_sync.send: function public.invoke_bubble_sync_retry() calls it" in said
    assert "kept secret service_role_key: function public.invoke_bubble_sync_retry() names it" in said
    assert site.by_hand("select jobname::text as name from cron.job") == [{"name": "mine"}]
    with site.db.transaction("the kept job's command") as conn:
        conn.execute("SELECT public.invoke_bubble_sync_retry()")


def test_an_up_killed_between_commit_and_state_is_found_again(stack: Stack, site: Site, proxy: Proxy):
    proxy.hold_after = b"cron.schedule"
    killed = stack.through(proxy.url(site.addresses.database_url)).start("up", "--yes", "--skip-preview")
    assert proxy.held.wait(60), "the job was never made"
    kill_tree(killed)
    assert site.by_hand(JOBS) == FRESH[:1], "the commit happened"

    stack.run("cancel", "--yes")
    stack.up()
    stack.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")

    stack.expect_no_changes()
    assert site.by_hand(JOBS) == FRESH
    assert {row["origin"] for row in site.by_hand(LEDGER)} == {"made"}


def test_an_offline_preview_opens_no_connection(converged: Stack, platform: Platform, site: Site):
    before = connections(platform)

    converged.run("preview", "--refresh=false", "--expect-no-changes")
    offline = connections(platform)
    converged.run("preview", "--expect-no-changes")

    assert offline == before
    assert connections(platform) > offline, "the counting counts"


def test_changed_numbers_change_the_functions_in_place(converged: Stack, site: Site):
    (before,) = site.by_hand("select 'public.invoke_bubble_sync_processor()'::regprocedure::oid as oid")

    converged.configure("processor.maxItems", "25")
    converged.configure("processor.active", "false")
    preview = converged.run("preview", "--diff")
    converged.up()

    assert "max_items constant integer := 25;" in preview
    assert site.by_hand("select 'public.invoke_bubble_sync_processor()'::regprocedure::oid as oid") == [before]
    assert site.by_hand("select active from cron.job where jobid = 1") == [{"active": False}]
    converged.expect_no_changes()


def test_a_bad_configuration_is_one_message_before_anything_is_asked(stack: Stack, platform: Platform):
    stack.configure("adopt", "sometimes")
    stack.configure("retry.timeoutMs", "0")
    before = connections(platform)

    refusal = stack.run("preview", expect=1)

    assert "bubble-sync:adopt: 'sometimes'" in refusal
    assert "bubble-sync:retry.timeoutMs: 0" in refusal
    assert "Traceback" not in refusal
    assert connections(platform) == before


def test_a_part_of_another_environment_is_refused_with_both_names(stack: Stack):
    stack.configure("projectRef", "stagingstagingstagin")
    stack.configure("supabaseUrl", "https://prodprodprodprodprod.supabase.co")

    refusal = stack.up(expect=1)

    assert "stagingstagingstagin" in refusal
    assert "prodprodprodprodprod" in refusal
    assert "Traceback" not in refusal


@pytest.mark.matrix
def test_a_clone_of_another_project_is_refused_although_only_the_url_names_it(stack: Stack, site: Site):
    stack.configure("supabaseUrl", "https://stagingstagingstagin.supabase.co")
    stack.up()

    stack.configure("supabaseUrl", "https://prodprodprodprodprod.supabase.co")
    refusal = stack.up(expect=1)

    assert "stagingstagingstagin" in refusal
    assert "prodprodprodprodprod" in refusal
    assert "update bubble_sync.ledger set" in refusal
    stored = site.by_hand("select decrypted_secret as url from vault.decrypted_secrets where name = 'supabase_url'")
    assert stored == [{"url": "https://stagingstagingstagin.supabase.co"}]


def test_destroy_refuses_what_the_ledger_gives_to_another_stack(converged: Stack, site: Site):
    site.by_hand("update bubble_sync.ledger set stack = 'prod'")
    before = site.by_hand(CONTENTS)

    refusal = converged.run("destroy", "--yes", "--skip-preview", expect=1)

    assert "names stack 'prod', but this is stack 'local': nothing was changed" in refusal
    assert site.by_hand(CONTENTS) == before
    assert site.by_hand(JOBS) == FRESH


def test_a_url_in_the_place_of_a_variable_name_is_refused_and_not_shown(stack: Stack):
    stack.configure("databaseUrlEnv", "postgresql://postgres:hunter2hunter2@db.example.com/postgres")

    refusal = stack.run("preview", expect=1)

    assert "bubble-sync:databaseUrlEnv: is not the name of an environment variable" in refusal
    assert "hunter2hunter2" not in refusal


def test_an_applications_own_schema_is_refused_and_kept_by_up_and_destroy_and_makes_way_by_the_sql(
    stack: Stack, site: Site
):
    play(site, "schema_in_use")
    before = snapshot(site)

    refusal = stack.up(expect=1)
    assert "ForeignObject: the schema bubble_sync is not ours (it holds progress)" in refusal
    assert "Traceback" not in refusal
    stack.run("destroy", "--yes", "--skip-preview")
    assert snapshot(site) == before

    site.by_hand(refusal.split("Rename yours, and its references: ")[1].splitlines()[0])
    stack.up()
    stack.expect_no_changes()
    assert site.by_hand("select note from bubble_sync_app.progress") == [{"note": "seen"}]


@pytest.mark.matrix
def test_a_job_of_the_guide_gets_a_command_with_the_schema_once_and_in_place(converged: Stack, site: Site):
    site.by_hand("update cron.job set command = replace(command, 'public.', '')")

    assert converged.drift() == {
        f"sync-jobs-{name}": ["command"] for name in ("bubble-sync-processor", "bubble-sync-retry")
    }
    converged.up()

    converged.expect_no_changes()
    assert site.by_hand(JOBS) == FRESH
    assert site.by_hand("select command from cron.job where jobid = 1") == [
        {"command": "SELECT public.invoke_bubble_sync_processor()"}
    ]
