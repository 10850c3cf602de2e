"""What lies behind a stack: items, people, runs, requests and answers, as time would have made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

import psycopg

from tests.fixtures.site import Site

_TABLES: tuple[LiteralString, ...] = (
    'public."user"', "public.account_host", "public.account_guest", "public.sync_queue", "cron.job_run_details",
    "bubble_sync.dispatches", "net._http_response",
)  # fmt: skip


@dataclass(frozen=True)
class Past:
    """How much lies behind a stack."""

    items: int
    days: int

    @property
    def minutes(self) -> int:
        """Count the ticks of the processor."""
        return self.days * 24 * 60


MONTH, SAME_QUEUE, DAY = Past(100_000, 30), Past(100_000, 1), Past(100_000 // 30, 1)
_ITEMS: LiteralString = """
insert into public.sync_queue (table_name, record_id, operation, status, retry_count, error_message, created_at,
    processed_at)
select 'user', 'record-' || item, (array['SIGNUP_ATOMIC', 'INSERT', 'UPDATE'])[1 + item %% 3],
    case when item %% 100 = 50 then 'failed' else 'completed' end, case when item %% 100 = 50 then 3 else 0 end,
    case when item %% 100 = 50 then 'HTTP 500 of record ' || item end, at, at + interval '40 s'
from generate_series(0, %(items)s - 1) as item,
    lateral (select now() - interval '1 min' * (1 + item::float8 * %(minutes)s / %(items)s) as at) as moment
"""
_PEOPLE: tuple[LiteralString, ...] = (
    "insert into public.account_host select 'h-' || record_id, 'b' from public.sync_queue where operation like 'S%'",
    "insert into public.account_guest select 'g-' || record_id, 'b' from public.sync_queue where operation like 'S%'",
    """
    insert into public."user" select record_id, 'person-' || row_number() over (order by created_at desc)
        || '@example.com', 'b', 'h-' || record_id, 'g-' || record_id
    from public.sync_queue where operation like 'S%'
    """,
)
_RUNS: LiteralString = """
insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status, return_message,
    start_time, end_time)
select job.jobid, row_number() over (order by minute, job.jobid), 1, job.database, job.username, job.command,
    'succeeded', '1 row', at, at + interval '8 ms'
from generate_series(1, %(minutes)s) as minute
join cron.job as job on job.jobname = 'bubble-sync-processor' or minute %% 5 = 0,
    lateral (select date_trunc('minute', now()) - (%(minutes)s - minute) * interval '1 min' as at) as moment
"""
_DISPATCHES: LiteralString = """
insert into bubble_sync.dispatches (function, runid, waiting, request_id, sent_at, settled_at, status_code, duration_ms,
    processed, failed, verdict)
select replace(job.jobname, '-', '_'), run.runid, 3, run.runid,
    run.start_time + interval '5 ms', run.start_time + interval '1 min', 200, 800, 3, 0, 'ok'
from cron.job_run_details as run
join cron.job as job on job.jobid = run.jobid
order by run.runid
"""
_RESPONSES: LiteralString = """
insert into net._http_response (id, status_code, content, timed_out, created)
select request_id, 200, '{"processed": 3, "failed": 0}', false, sent_at
from bubble_sync.dispatches where sent_at > now() - interval '6 hours'
"""
#: What an application that owns the queue might make for these questions; none of it is ours to make.
ADVISED: tuple[LiteralString, ...] = (
    "create index bench_1 on public.sync_queue (created_at)",
    "create index bench_2 on public.sync_queue (created_at desc nulls last) where operation = 'SIGNUP_ATOMIC'",
    "create index bench_3 on public.sync_queue (record_id)",
    "create index bench_4 on public.sync_queue ((id::text))",
    "vacuum (analyze) public.sync_queue",
)


def fill(site: Site, past: Past) -> None:
    """Put it there instead of what is there."""
    given = {"items": past.items, "minutes": past.minutes}
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        for table in _TABLES:
            conn.execute("truncate " + table + " cascade")
        for statement in (_ITEMS, _RUNS):
            conn.execute(statement, given)
        for statement in (*_PEOPLE, _DISPATCHES, _RESPONSES):
            conn.execute(statement)
        for table in _TABLES:
            conn.execute("vacuum (analyze) " + table)
