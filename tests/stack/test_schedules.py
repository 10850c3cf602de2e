"""A schedule in seconds, on a real pg_cron that knows none and on one that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.database.polling import poll
from bubble_sync.local.platform import Platform
from bubble_sync.local.stack import prepare_stack
from tests.fixtures.site import Site, knows_seconds
from tests.fixtures.stack import CHECKOUT, Stack

SCHEDULES = "select schedule from cron.job order by jobid"
RUNS = """
    select status, extract(epoch from start_time - lag(start_time) over (order by runid))::float as since_last
    from cron.job_run_details where jobid = (select jobid from cron.job where jobname = 'bubble-sync-processor')
    and status in ('succeeded', 'failed') order by runid
"""
GUARDED = """
    select prosrc like '%overlap_guard constant boolean := true;%' as guarded from pg_proc
    where proname = 'invoke_bubble_sync_processor'
"""
BACKLOG = """
    insert into public.sync_queue (table_name, record_id, operation)
    select 'user', 'r' || number, 'INSERT' from generate_series(1, 120) as number
"""
PER_RUN = "select count(*) as requests from bubble_sync.dispatches where runid is not null group by runid"
PROCESSED = "select sum(processed)::int from bubble_sync.dispatches"
REFUSED = "the schedule '30 seconds' needs pg_cron 1.5, and this server has 1.4-1: nothing was changed."


def drain_with_four_requests(site: Site, stack: Stack) -> None:
    """Queue a backlog behind one item, and have it drained, each item once."""
    site.by_hand(BACKLOG)
    stack.configure("processor.requestsPerTick", "4")
    stack.up()
    left = "select count(*) from public.sync_queue where status <> 'completed'"
    assert poll(lambda: site.by_hand(left), [{"count": 0}].__eq__, 60) == [{"count": 0}]
    # Each item was processed once, by up to four requests of a run.
    assert poll(lambda: site.by_hand(PROCESSED), [{"sum": 121}].__eq__, 60) == [{"sum": 121}]
    assert max(row["requests"] for row in site.by_hand(PER_RUN)) == 4
    stack.expect_no_changes()


@pytest.fixture
def old_cron(site: Site) -> None:
    if knows_seconds(site):
        pytest.skip("this pg_cron knows seconds: POSTGRES=15 has an older one")


def test_seconds_are_a_change_in_place_where_pg_cron_knows_them(converged: Stack, site: Site):
    if not knows_seconds(site):
        pytest.skip("this pg_cron knows no seconds: POSTGRES=17 has a newer one")
    converged.configure("processor.schedule", "30 seconds")

    assert converged.ours("diff").returncode == 1
    assert converged.drift() == {
        "sync-functions-invoke_bubble_sync_processor": ["body"],
        "sync-jobs-bubble-sync-processor": ["schedule"],
        "sync-ledger": ["settings"],
    }
    converged.up()

    assert site.by_hand("select jobid, schedule from cron.job order by jobid") == [
        {"jobid": 1, "schedule": "30 seconds"}, {"jobid": 2, "schedule": "*/5 * * * *"},
    ]  # fmt: skip
    converged.expect_no_changes()


def test_the_scheduler_keeps_seconds_and_an_item_does_not_wait_for_the_minute(
    tmp_path: Path, own_platform: Platform, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    addresses = own_platform.start()
    site = Site(addresses, Database(read_database_url(addresses.database_url)))
    if not knows_seconds(site):
        pytest.skip("this pg_cron knows no seconds: POSTGRES=17 has a newer one")
    stack = Stack(prepare_stack(addresses, CHECKOUT))
    stack.configure("processor.schedule", "2 seconds")
    stack.up()

    item = own_platform.sign_up("ada@example.com").item_id
    status = f"select status::text from public.sync_queue where id = '{item}'"
    assert poll(lambda: site.by_hand(status), [{"status": "completed"}].__eq__, 30) == [{"status": "completed"}]

    runs = poll(lambda: site.by_hand(RUNS), lambda found: len(found) >= 5, 30)
    assert {row["status"] for row in runs} == {"succeeded"}
    between = sorted(row["since_last"] for row in runs if row["since_last"] is not None)
    # A busy machine delays a run; pg_cron never begins one early.
    assert 1 <= between[0] <= between[len(between) // 2] < 5
    stack.expect_no_changes()

    # The target, the guard and the warning of a long history are those of the interval.
    assert "the target is 17 s, the limit 62 s" in stack.ours("trace", "--latest").stdout
    assert "bubble-sync-processor adds 43200 a day" in stack.ours("doctor").stdout
    assert site.by_hand(GUARDED) == [{"guarded": True}]
    own_platform.claim_items()
    drain_with_four_requests(site, stack)
    site.by_hand("update cron.job set schedule = '50 seconds' where jobname = 'bubble-sync-processor'")
    assert stack.drift() == {"sync-jobs-bubble-sync-processor": ["schedule"]}
    site.db.close()


@pytest.mark.usefixtures("old_cron")
def test_seconds_are_refused_by_preview_up_and_diff_in_one_line(converged: Stack, site: Site):
    converged.configure("processor.schedule", "30 seconds")

    preview = converged.run("preview", expect=1)
    up = converged.up(expect=1)
    difference = converged.ours("diff")

    for said in (preview, up):
        assert f"PrerequisiteMissing: job bubble-sync-processor: {REFUSED}" in said
        assert "Traceback" not in said
    assert difference.returncode == 1
    assert REFUSED in " ".join(difference.stdout.split())
    assert site.by_hand(SCHEDULES) == [{"schedule": "* * * * *"}, {"schedule": "*/5 * * * *"}]


@pytest.mark.usefixtures("old_cron")
def test_the_first_up_refuses_seconds_and_goes_on_when_they_are_gone(stack: Stack, site: Site):
    stack.configure("processor.schedule", "30 seconds")
    assert REFUSED in stack.up(expect=1)

    stack.configure("processor.schedule", "*/2 * * * *")
    stack.up()

    assert site.by_hand(SCHEDULES)[0] in ({"schedule": "*/2 * * * *"}, {"schedule": "*/5 * * * *"})
    stack.expect_no_changes()
