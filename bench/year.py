"""What a year of requests and runs weighs, and what a tick, its log and the clean-up of the history cost with it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

import psycopg

from bench.measure import Row
from bench.workbench import Workbench
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import HistorySettings
from bubble_sync.database.database import Database
from bubble_sync.model.jobs import HISTORY_JOB
from bubble_sync.model.setup import SetupSettings, groups
from bubble_sync.specs import FunctionSpec, Owner, PrerequisitesSpec, Spec
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

DAYS = (30, 365)
MINUTES_A_DAY = 24 * 60
MIB = 1024 * 1024
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
RECORD: LiteralString = "select bubble_sync.record('bubble_sync_processor', 3, 1)"
SETTLE: LiteralString = "select bubble_sync.settle()"
#: One request that its response has just answered.
ANSWERED: tuple[LiteralString, ...] = (
    "insert into bubble_sync.dispatches (function, waiting, request_id) values ('bubble_sync_processor', 3, -1)",
    "insert into net._http_response (id, status_code, content, created) values (-1, 200, '{\"processed\": 3}', now())",
)
#: One request a minute: those of the retry job go.
_ONE_A_MINUTE: tuple[LiteralString, ...] = (
    "delete from bubble_sync.dispatches where function <> 'bubble_sync_processor'",
    "vacuum (full, analyze) bubble_sync.dispatches",
)
_WEIGHT: LiteralString = """
select count(*), pg_relation_size(%(table)s::regclass), pg_indexes_size(%(table)s::regclass) from {}
"""
_NOW = "extract(epoch from pg_catalog.now())"
_OLD: LiteralString = "select count(*) from cron.job_run_details where end_time < now() - interval '30 days'"


class Tick(NamedTuple):
    """The cost of one call."""

    buffers: int
    milliseconds: float


@dataclass(frozen=True)
class Kept:
    """How long a stack keeps both histories."""

    days: int

    def functions(self) -> dict[str, FunctionSpec]:
        """Return the functions by name."""
        settings = HistorySettings(keep_days=self.days, dispatch_days=self.days)
        setup = SetupSettings(owner=Owner(STACK), secrets={"url": "supabase_url", "key": "key"}, history=settings)
        objects = [one for group in groups(setup) for one in group.objects]
        return {one.name: one for one in objects if isinstance(one, FunctionSpec)}

    def install(self, site: Site) -> None:
        """Bring the functions and the jobs into the database."""
        settings = HistorySettings(keep_days=self.days, dispatch_days=self.days)
        setup = SetupSettings(owner=Owner(STACK), secrets={}, history=settings)
        for group in groups(setup):
            for spec in group.objects:
                if isinstance(spec, Spec) and not isinstance(spec, PrerequisitesSpec):
                    site.converge(spec)


def run(bench: Workbench) -> Iterator[Row]:
    """Fill one server with a month, then with a year; the year's history is then deleted down to a month."""
    with closing(Database(read_database_url(bench.addresses.database_url))) as database:
        site = Site(bench.addresses, database)
        for days in DAYS:
            Kept(days).install(site)
            _fill(site, days)
            yield from _weights(site, f"{days} days")
            yield from _ticks(site, bench.rounds, f"{days} days")
        Kept(30).install(site)
        yield _tick(site, bench.rounds, "a request logged, 365 days, 100 old rows deleted", RECORD)
        yield from _deleted(site, bench.rounds)


def _fill(site: Site, days: int) -> None:
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        conn.execute("truncate cron.job_run_details, bubble_sync.dispatches")
        conn.execute(_RUNS, {"minutes": days * MINUTES_A_DAY})
        conn.execute(_DISPATCHES)
        for statement in (*_ONE_A_MINUTE, "vacuum (analyze) cron.job_run_details"):
            conn.execute(statement)


def _weights(site: Site, what: str) -> Iterator[Row]:
    for name, table in (("requests", "bubble_sync.dispatches"), ("runs", "cron.job_run_details")):
        with psycopg.connect(site.addresses.admin_url) as conn:
            row = conn.execute(psycopg.sql.SQL(_WEIGHT).format(psycopg.sql.SQL(table)), {"table": table}).fetchone()
        count, heap, indexes = row or (0, 0, 0)
        note = f"{count:,} rows; indexes {indexes / MIB:.1f} MiB of it"
        yield Row(f"{name} of {what}", [(heap + indexes) / MIB], unit="MiB", remark=note)


def _ticks(site: Site, rounds: int, what: str) -> Iterator[Row]:
    yield _tick(site, rounds, f"a look for responses, {what}, none outstanding", SETTLE)
    yield _tick(site, rounds, f"a response read, {what}", SETTLE, ANSWERED)
    yield _tick(site, rounds, f"a request logged, {what}, nothing old", RECORD)
    yield _tick(site, rounds, f"a call of the clean-up, {what}, nothing old", HISTORY_JOB.command)


def _tick(site: Site, rounds: int, what: str, call: str, before: tuple[LiteralString, ...] = ()) -> Row:
    with psycopg.connect(site.addresses.database_url) as conn:
        ticks = [_rolled_back(conn, call, before) for _ in range(rounds + 1)][1:]  # the first call of a session plans
    took = statistics.median(one.milliseconds for one in ticks)
    return Row(what, [one.buffers for one in ticks], unit="buffers", remark=f"{took:.2f} ms")


def _rolled_back(conn: psycopg.Connection[Any], call: str, before: tuple[LiteralString, ...]) -> Tick:
    for statement in before:
        conn.execute(statement)
    tick = _explained(conn, call)
    conn.rollback()
    return tick


def _explained(conn: psycopg.Connection[Any], call: str) -> Tick:
    row = conn.execute(psycopg.sql.SQL("explain (analyze, buffers, format json) " + call)).fetchone()
    (answer,) = row[0] if row else [{}]
    plan = answer["Plan"]
    return Tick(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], answer["Execution Time"])


def _deleted(site: Site, rounds: int) -> Iterator[Row]:
    """Call the clean-up as time would, with a counter instead of the clock, until no old run is left."""
    yield _tick(site, rounds, "a call of the clean-up, 365 days, 10,000 old runs deleted", HISTORY_JOB.command)
    spec = Kept(30).functions()[HISTORY_JOB.function]
    counted = spec.body.replace(_NOW, "600 * pg_catalog.nextval('public.bench_tick')")
    site.by_hand("create sequence public.bench_tick", "grant all on public.bench_tick to postgres")
    site.converge(spec.model_copy(update={"body": counted}))
    took = []
    with psycopg.connect(site.addresses.database_url, autocommit=True) as conn:
        while site.by_hand(_OLD)[0]["count"]:
            took.append(_explained(conn, HISTORY_JOB.command).milliseconds)
    note = f"{sum(took) / 1000:.1f} s in all, the longest {max(took):.0f} ms; a call every 10 minutes"
    yield Row("calls until a year of runs is 30 days", [len(took)], unit="calls", remark=note)
