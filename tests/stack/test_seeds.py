"""The execution record's eleven steps, each with its recorded result, after one `pulumi up` over a hand-made set-up."""

from __future__ import annotations

import psycopg

from tests.fixtures.adoption import script
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack


def test_the_record_comes_out_of_one_up_with_the_hand_made_jobs_kept(stack: Stack, site: Site):
    site.by_hand(script("as_executed"))
    secrets = site.by_hand("select id, name from vault.secrets order by name")

    stack.up()

    # 1: the queue is there, which the prerequisites have checked
    assert site.by_hand("select to_regclass('public.sync_queue') is not null as there") == [{"there": True}]
    # 2, 3: both extensions, and Vault
    installed = site.by_hand("select extname::text as name from pg_extension where extname ~ 'pg_|vault' order by 1")
    assert [row["name"] for row in installed] == ["pg_cron", "pg_net", "supabase_vault"]
    # 4, 5: both functions, now ours
    functions = site.by_hand(
        "select proname::text as name, prosecdef as definer, prosrc ~ 'bubble_sync.send' as ours from pg_proc "
        "where proname ~ '^invoke_bubble_sync' order by 1"
    )
    assert functions == [
        {"name": "invoke_bubble_sync_processor", "definer": False, "ours": True},
        {"name": "invoke_bubble_sync_retry", "definer": False, "ours": True},
    ]
    # 6: nothing was unscheduled; 7, 8: the jobs as recorded, ids 3 and 4, active, in database postgres
    jobs = site.by_hand("select jobid, jobname::text, schedule, command, active, database from cron.job order by 1")
    assert jobs == [
        {"jobid": 3, "jobname": "bubble-sync-processor", "schedule": "* * * * *", "active": True,
         "command": "SELECT public.invoke_bubble_sync_processor()", "database": "postgres"},
        {"jobid": 4, "jobname": "bubble-sync-retry", "schedule": "*/5 * * * *", "active": True,
         "command": "SELECT public.invoke_bubble_sync_retry()", "database": "postgres"},
    ]  # fmt: skip
    assert stack.outputs()["jobids"] == {"bubble-sync-processor": "3", "bubble-sync-retry": "4"}
    # 9: both secrets, the same rows, with the guide's descriptions
    assert site.by_hand("select id, name from vault.secrets order by name") == secrets
    described = site.by_hand("select name, description from vault.secrets order by name desc")
    assert described == [
        {"name": "supabase_url", "description": "Supabase project URL for pg_net calls"},
        {"name": "service_role_key", "description": "Service role key for Edge Function authentication"},
    ]
    # 10: the manual test runs without error
    with psycopg.connect(site.addresses.database_url) as hand:
        hand.execute("SELECT invoke_bubble_sync_processor()")
    # 11: the queue's state
    counts = site.by_hand("select status, operation, count(*) from public.sync_queue group by status, operation")
    assert counts == [{"status": "completed", "operation": "INSERT", "count": 8}]

    stack.expect_no_changes()
    origins = site.by_hand(
        "select distinct origin from bubble_sync.ledger where object !~ '^(function bubble_sync|settings$)'"
    )
    assert origins == [{"origin": "adopted"}]


def test_what_was_adopted_is_left_when_the_stack_is_destroyed(stack: Stack, site: Site):
    site.by_hand(script("as_executed"))
    stack.up()

    said = stack.run("destroy", "--yes", "--skip-preview")

    assert "kept job bubble-sync-processor: it was there before" in said
    assert "kept function bubble_sync.send: function public.invoke_bubble_sync_processor(), " in said
    assert [row["jobid"] for row in site.by_hand("select jobid from cron.job order by 1")] == [3, 4]
    assert len(site.by_hand("select name from vault.secrets")) == 2
    with psycopg.connect(site.addresses.database_url) as hand:
        hand.execute("SELECT invoke_bubble_sync_processor()")
