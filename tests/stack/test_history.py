"""`history.keepDays` through the whole life of a stack, from `up` to `destroy`, next to the vendor's own clean-up."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

JOB, FUNCTION = "sync-history-bubble-sync-history", "sync-history-delete_old_runs"
VENDOR = (
    "set role postgres",
    "select cron.schedule('delete-job-run-details', '0 12 * * *', "
    "'delete from cron.job_run_details where end_time < now() - interval ''7 days''')",
)
VENDORS_JOB = "select job::text as row from cron.job as job where jobname = 'delete-job-run-details'"
EVERYTHING = """
    select 'job ' || jobname as object, jobid::text as id from cron.job
    union all select 'function ' || oid::regprocedure, oid::text from pg_proc
        where pronamespace = 'bubble_sync'::regnamespace or proname ~ 'bubble_sync'
    union all select 'in the ledger: ' || object, '' from bubble_sync.ledger
    order by object
"""
OURS = f"select * from ({EVERYTHING}) as one where object ~ 'bubble-sync-history|delete_old_runs'"
OLD_RUNS = """
    insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)
    select jobid, 1000000 + row_number() over (order by jobid), database, username, command, 'succeeded',
        now() - interval '8 days', now() - interval '8 days'
    from cron.job
"""
KEPT = "select count(*)::integer as runs from cron.job_run_details where runid > 1000000"


@pytest.mark.matrix
def test_a_number_of_days_that_is_none_is_refused_in_one_line_and_changes_nothing(converged: Stack, site: Site):
    before = site.by_hand(EVERYTHING)

    for value, command in (("0", ("preview",)), ("1000000000", ("up", "--yes", "--skip-preview"))):
        converged.configure("history.keepDays", value)
        said = converged.run(*command, expect=1)
        (line,) = {one.strip() for one in said.splitlines() if "history.keepDays" in one}
        assert line.startswith(f"- bubble-sync:history.keepDays: {value}: input should be ")
    for value in ("-3", "a week"):
        converged.configure("history.keepDays", value)
        said = converged.sync("diff", expect=2)
        assert len([line for line in said.splitlines() if "bubble-sync:history.keepDays: " in line]) == 1

    assert site.by_hand(EVERYTHING) == before


def test_the_job_is_made_repaired_and_removed_with_its_setting_next_to_the_vendors(converged: Stack, site: Site):
    site.by_hand(*VENDOR)
    before = site.by_hand(EVERYTHING)
    converged.configure("history.keepDays", "7")
    shown = converged.sync("diff", expect=1)
    assert "+ create           job bubble-sync-history\n" in shown
    assert "job delete-job-run-details (jobid " in shown

    converged.up()
    converged.expect_no_changes()
    converged.sync("diff")
    converged.sync("drift")
    assert set(jobids(converged)) == {"bubble-sync-history", "bubble-sync-processor", "bubble-sync-retry"}
    assert [one for one in site.by_hand(EVERYTHING) if one not in before] == site.by_hand(OURS)
    assert len(site.by_hand(OURS)) == 4

    site.by_hand(
        "update cron.job set schedule = '0 0 * * *', active = false where jobname = 'bubble-sync-history'",
        "do $hand$ begin execute (select replace(pg_get_functiondef(oid), 'keep_days constant integer := 7', "
        "'keep_days constant integer := 40') from pg_proc where proname = 'delete_old_runs'); end $hand$",
    )
    assert converged.drift() == {JOB: ["active", "schedule"], FUNCTION: ["body"]}
    assert "pulumi config set --path bubble-sync:history.keepDays 40" in converged.sync("drift", expect=1)
    converged.up()
    converged.expect_no_changes()

    converged.run("config", "rm", "bubble-sync:history")
    converged.up()
    converged.expect_no_changes()
    assert site.by_hand(EVERYTHING) == before


@pytest.mark.matrix
def test_old_runs_go_by_the_jobs_command_and_destroy_takes_the_job_and_leaves_the_vendors(converged: Stack, site: Site):
    site.by_hand(*VENDOR)
    vendors = site.by_hand(VENDORS_JOB)
    for setting, left in (("history.keepDays", 1), ("history.ofAllJobs", 0)):
        converged.configure(setting, {"history.keepDays": "7"}.get(setting, "true"))
        converged.up()
        site.by_hand("delete from cron.job_run_details where runid > 1000000", OLD_RUNS)
        assert delete_old_runs(site) == {"before": 4, "after": left}
    converged.expect_no_changes()

    converged.run("destroy", "--yes", "--skip-preview")

    assert site.by_hand(OURS) == []
    assert site.by_hand(VENDORS_JOB) == vendors


def jobids(stack: Stack) -> list[str]:
    found = stack.outputs()["jobids"]
    assert isinstance(found, dict)
    return list(found)


def delete_old_runs(site: Site) -> dict[str, int]:
    """Run the job's own command as its role; count the old runs before and after."""
    (job,) = site.by_hand("select command from cron.job where jobname = 'bubble-sync-history'")
    (before,) = site.by_hand(KEPT)
    with psycopg.connect(site.addresses.database_url, autocommit=True) as session:
        session.execute(job["command"])
    (after,) = site.by_hand(KEPT)
    return {"before": before["runs"], "after": after["runs"]}
