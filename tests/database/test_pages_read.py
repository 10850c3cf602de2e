"""How many pages a job's run and the reading commands touch: the same on every machine, unlike their time."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import read_settings
from bubble_sync.database.database import Database
from bubble_sync.health.doctor import doctor
from bubble_sync.health.report import report
from bubble_sync.health.runs import runs
from bubble_sync.health.status import status
from bubble_sync.health.trace import trace
from bubble_sync.health.verify import verify
from bubble_sync.sql_loader import query
from tests.fixtures.history import item, person
from tests.fixtures.pages import pages_read
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, config

PAGE = (Path(__file__).parents[2] / "docs/reference/performance.md").read_text("utf-8")
FUNCTIONS = ("invoke_bubble_sync_processor", "invoke_bubble_sync_retry")
DROP_INDEXES = (
    "drop index public.sync_queue_open, public.sync_queue_retry, public.sync_queue_one_pending",
    "vacuum (analyze) public.sync_queue",
)
#: Finished items, and those that no job takes: no attempt left, or an operation that no job asks for.
ITEMS = """
    insert into public.sync_queue (table_name, record_id, operation, status, retry_count)
    select 'user', n::text, case when n % 20 = 1 then 'DELETE' else 'INSERT' end,
        case n % 20 when 0 then 'failed' when 1 then 'pending' else 'completed' end,
        case when n % 20 = 0 then 3 else 0 end
    from generate_series(1, 20000) as n
"""
COMMANDS: dict[str, Callable[[Database], object]] = {
    "status": lambda db: status(db, SETTINGS, STACK),
    "verify": lambda db: verify(db, SETTINGS, STACK, REF),
    "doctor": lambda db: doctor(db, SETTINGS, STACK),
    "trace": lambda db: trace(db, SETTINGS, STACK, REF, None),
    "runs": lambda db: runs(db, SETTINGS, STACK, 10),
    "report": lambda db: report(db, SETTINGS, STACK, REF, timedelta(hours=24)),
}
SETTINGS = read_settings(config())
HISTORY = ("cron.job_run_details", "bubble_sync.dispatches")


def buffers(site: Site, function: str) -> int:
    """Count the pages of one run."""
    with psycopg.connect(site.addresses.database_url) as conn:
        return pages_read(conn, f"select public.{function}()")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_run_with_nothing_to_do_reads_few_pages_with_the_advised_indexes(converged: Site, function: str):
    converged.by_hand(ITEMS, *DROP_INDEXES)
    without = buffers(converged, function)
    advised = re.findall(r"^create index .*?;", PAGE.partition("## Pages of an idle run")[2], re.MULTILINE | re.DOTALL)
    converged.by_hand(*advised, "vacuum (analyze) public.sync_queue")

    assert len(advised) == len(FUNCTIONS)
    assert without > 200
    assert buffers(converged, function) <= 10


def days_of_history(site: Site, days: int) -> None:
    """Leave one run of the processor and its settled request for each minute of the last days."""
    site.by_hand(
        "truncate cron.job_run_details, bubble_sync.dispatches",
        "insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status, start_time, "
        "end_time) select jobid, 50000 - ago, 1, database, username, command, 'succeeded', at, at + interval '8 ms' "
        f"from generate_series({days * 24 * 60}, 1, -1) as ago cross join "
        "lateral (select now() - ago * interval '1 min' as at) as moment "
        "join cron.job on jobname = 'bubble-sync-processor'",
        "insert into bubble_sync.dispatches (function, runid, waiting, request_id, sent_at, settled_at, status_code, "
        "verdict) select 'bubble_sync_processor', runid, 3, runid, start_time, end_time, 200, 'ok' "
        "from cron.job_run_details order by runid",
        # The pages that autovacuum reads would be counted as the command's.
        *(f"alter table {table} set (autovacuum_enabled = off)" for table in HISTORY),
        *(f"vacuum (analyze) {table}" for table in HISTORY),
    )


def history_pages(site: Site, command: str) -> int:
    """Count the pages of runs and requests that a command reads."""
    tables = ", ".join(f"'{table}'::regclass" for table in HISTORY)
    counted = (
        "select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::int as pages "
        f"from pg_statio_all_tables where relid in ({tables})"
    )
    site.end_sessions()
    (before,) = site.by_hand(counted)
    with closing(Database(read_database_url(site.addresses.database_url))) as database:
        COMMANDS[command](database)
    # A session's counters appear when the session has ended.
    site.end_sessions()
    (after,) = site.by_hand(counted)
    return int(after["pages"] - before["pages"])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_no_more_of_thirty_days_than_of_fifteen(converged: Site, command: str):
    person(converged, "r1", "ann@example.com")
    item(converged, "1 hour", status="failed", retry_count=3, processed="59 min")
    # Already more than the 10,000 runs and the 20,000 requests that a command reads at most.
    days_of_history(converged, 15)
    of_fifteen = history_pages(converged, command)
    days_of_history(converged, 30)
    of_thirty = history_pages(converged, command)

    assert 0 < of_thirty <= 1.2 * of_fifteen


@pytest.mark.parametrize("name", ["latest_sign_up", "of"])
def test_an_item_is_found_before_its_details_are_read(site: Site, name: str):
    text = f"explain (verbose) {query('items', name)}".encode()
    rows = site.db.read("asking", lambda conn: conn.execute(text, {"wanted": "r1"}).fetchall())
    above, _, below = "\n".join(row["QUERY PLAN"] for row in rows).partition("Limit")

    assert "error_details'" in above
    assert "error_details'" not in below
