"""Compare a year of requests and runs with a month: their size, and the pages that a tick and the clean-up touch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg

from bench.measure import Row
from bench.workbench import Workbench
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import HistorySettings
from bubble_sync.database.database import Database
from bubble_sync.model.jobs import HISTORY_JOB
from bubble_sync.model.setup import groups
from bubble_sync.model.setup_settings import SetupSettings
from bubble_sync.specs import FunctionSpec, Owner, PrerequisitesSpec, Spec
from tests.fixtures.platform import reset
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

MONTH, YEAR = 30, 365
TABLES = {"requests": "bubble_sync.dispatches", "runs": "cron.job_run_details"}
CLEAN_UP = HISTORY_JOB.command
#: What a tick calls, after statements that make its work. All are rolled back.
CALLS: dict[str, tuple[str, ...]] = {
    "a look for responses, none outstanding": ("select bubble_sync.settle()",),
    "a response read": (
        "insert into bubble_sync.dispatches (function, waiting, request_id) values ('bubble_sync_processor', 3, -1)",
        "insert into net._http_response (id, status_code, content, created) "
        "values (-1, 200, '{\"processed\": 3}', now())",
        "select bubble_sync.settle()",
    ),
    "a request logged, nothing old": ("select bubble_sync.record('bubble_sync_processor', 3, 1)",),
    "a call of the clean-up, nothing old": (CLEAN_UP,),
}
#: A processor's run and request a minute, and a run of the other jobs every five minutes.
_FILL = (
    "truncate " + ", ".join(TABLES.values()),
    """insert into cron.job_run_details
        (jobid, runid, job_pid, database, username, command, status, return_message, start_time, end_time)
    select jobid, row_number() over (order by minute, jobid), 1, database, username, command, 'succeeded', '1 row', at,
        at + interval '8 ms'
    from generate_series(1, {minutes}) as minute
    join cron.job on jobname = 'bubble-sync-processor' or minute % 5 = 0,
        lateral (select date_trunc('minute', now()) - ({minutes} - minute) * interval '1 min' as at) as moment""",
    """insert into bubble_sync.dispatches
        (function, runid, waiting, request_id, sent_at, settled_at, status_code, duration_ms, processed, failed,
        verdict)
    select 'bubble_sync_processor', runid, 3, runid, start_time, start_time + interval '1 min', 200, 800, 3, 0, 'ok'
    from cron.job_run_details join cron.job using (jobid) where jobname = 'bubble-sync-processor' order by runid""",
    *(f"vacuum (analyze) {table}" for table in TABLES.values()),
)
_OLD = "select count(*)::int from cron.job_run_details where end_time < now() - interval '30 days'"


class Call(NamedTuple):
    """What a call of a function touches and takes, every statement inside the function included."""

    pages: int
    milliseconds: float


def run(bench: Workbench) -> Iterator[Row]:
    """Compare a year of requests and runs with a month; then delete the year down to a month."""
    reset(bench.addresses)
    with closing(Database(read_database_url(bench.addresses.database_url))) as database:
        site = Site(bench.addresses, database)
        month, year = (_past(site, days, bench.rounds) for days in (MONTH, YEAR))
        for what in TABLES:
            yield Row(f"{what} of {YEAR} days, over {MONTH}", year[what], month[what], None, "{:.1f} MiB")
        for what in CALLS:
            yield Row(f"{what}, {YEAR} days over {MONTH}", year[what], month[what], 4, "{:,.0f} pages")
        _keep(site, MONTH)
        for what, old in (("a request logged", "100 old rows"), ("a call of the clean-up", "10,000 old runs")):
            usual = f"{what}, nothing old"
            deleting = _pages(site, bench.rounds, *CALLS[usual])
            yield Row(f"{what}, {old} deleted, over nothing old", deleting, year[usual], None, "{:,.0f} pages")
        yield from _clean_up(site)


def _past(site: Site, days: int, rounds: int) -> dict[str, list[float]]:
    """Fill a converged site with a past within its days to keep; return every measure of the past by name."""
    _keep(site, days + 1)  # while this runs, nothing becomes old
    site.by_hand(*(one.format(minutes=days * 24 * 60) for one in _FILL))
    sizes = {
        what: [site.by_hand(f"select pg_total_relation_size('{table}')::float8 / 2^20 as mib")[0]["mib"]]
        for what, table in TABLES.items()
    }
    return sizes | {what: _pages(site, rounds, *statements) for what, statements in CALLS.items()}


def _keep(site: Site, days: int, clock: str = "0") -> None:
    """Converge a stack with days to keep; the clean-up takes its window by this clock."""
    history = HistorySettings(keep_days=days, dispatch_days=days)
    for group in groups(SetupSettings(owner=Owner(STACK), secrets={}, history=history)):
        for spec in group.objects:
            if isinstance(spec, FunctionSpec):
                body = spec.body.replace("extract(epoch from pg_catalog.now())", clock)
                site.converge(spec.model_copy(update={"body": body}))
            elif isinstance(spec, Spec) and not isinstance(spec, PrerequisitesSpec):
                site.converge(spec)


def _pages(site: Site, rounds: int, *statements: str) -> list[float]:
    """Count the pages of the last statement in each round, in a transaction that rolls back."""
    counted = []
    with psycopg.connect(site.addresses.database_url) as conn:
        for _ in range(rounds + 1):
            for statement in statements[:-1]:
                conn.execute(statement.encode())
            counted.append(float(_explain(conn, statements[-1]).pages))
            conn.rollback()
    return counted[1:]  # the first call of a session plans


def _explain(conn: psycopg.Connection[Any], call: str) -> Call:
    row = conn.execute(f"explain (analyze, buffers, format json) {call}".encode()).fetchone()
    (answer,) = row[0] if row else [{}]
    plan = answer["Plan"]
    return Call(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], answer["Execution Time"])


def _clean_up(site: Site) -> Iterator[Row]:
    """Call the clean-up until no old run is left; each call takes the next window."""
    site.by_hand("create sequence public.bench_tick", "grant all on public.bench_tick to postgres")
    _keep(site, MONTH, "600 * pg_catalog.nextval('public.bench_tick')")
    old = site.by_hand(_OLD)[0]["count"]
    took = []
    with psycopg.connect(site.addresses.database_url, autocommit=True) as conn:
        while site.by_hand(_OLD)[0]["count"]:
            took.append(_explain(conn, CLEAN_UP).milliseconds)
        idle = _explain(conn, CLEAN_UP).milliseconds
    what = "calls until a year of runs is 30 days, over the fewest"
    yield Row(what, [len(took)], [-(-old // 10_000)], 2, "{:.0f} calls")
    yield Row("the longest of these calls, over one with nothing old", [max(took)], [idle], None, "{:.0f} ms")
