"""What `processor.wake` saves from insert to request, and what it costs an inserting transaction."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg

from bench.measure import Row, Samples, alternate, seconds
from bench.workbench import SETTINGS, Workbench
from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.database.polling import poll
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.platform import Platform
from bubble_sync.model.setup import WAKE_TRIGGER
from tests.fixtures.breaking import set_up
from tests.fixtures.site import Site, knows_seconds
from tests.fixtures.waking import HoldingEndpoint, serving, woken

INSERT = (
    "insert into public.sync_queue (table_name, record_id, operation) "
    "select 'user', gen_random_uuid()::text, 'SIGNUP_ATOMIC' from generate_series(1, %s)"
)
#: Seconds over which the inserts of one sample are spread, by schedule; the longest wait is one interval.
SPANS = {"minute": 60, "5 seconds": 20, "wake": 60, "wake, an insert a second": 20}
INSERTS = 20
SINGLE, BLOCK = 1, 2_000
MANY = 10_000
SESSIONS, EACH = 50, 10
ALONE, ALONE_SECONDS = 5, 1.1
#: Every wait for a heavyweight lock of at least 5 ms stands in the log.
LOCK_WAITS = {"log_lock_waits": "on", "deadlock_timeout": "5ms"}


def run(bench: Workbench) -> Iterator[Row]:
    """Compare schedules by the time from insert to request, and inserts with and without the trigger."""
    with _platform(bench, {"fsync": "on", **LOCK_WAITS}) as (site, endpoint, platform):
        yield from _latency(site, endpoint, bench.rounds)
        site.by_hand("update cron.job set active = false")
        yield from _cost(site, bench.rounds, "")
        (log,) = [part.log for part in platform.status().parts if part.name == "postgres"]
        # Sessions that insert at once wait for a table to grow, also without a trigger.
        waits = [line for line in log.read_text("utf-8").splitlines() if "still waiting for" in line]
        ours = [line for line in waits if "on extension of relation" not in line]
        yield Row("waits for a lock over 5 ms in all this", [float(len(ours))], goal=0, sample="{:.0f}")
    with _platform(bench, SETTINGS) as (site, _, _):
        yield from _cost(site, bench.rounds, ", nothing flushed to disk")


@contextmanager
def _platform(bench: Workbench, settings: Mapping[str, str]) -> Iterator[tuple[Site, HoldingEndpoint, Platform]]:
    """Give a converged platform with wake on, and an endpoint that answers at once."""
    platform = Platform(bench.folder())
    addresses: Addresses = platform.start(settings)
    try:
        with serving() as endpoint:
            site = Site(addresses, Database(read_database_url(addresses.database_url)))
            set_up(site, woken(endpoint))
            yield site, endpoint, platform
            site.db.close()
    finally:
        platform.remove()


def _latency(site: Site, endpoint: HoldingEndpoint, rounds: int) -> Iterator[Row]:
    """Compare schedules by the 95th percentile of the time from an insert to the next request."""
    schedules = {"minute": "* * * * *", **({"5 seconds": "5 seconds"} if knows_seconds(site) else {})}
    woken_by_insert = ("wake", "wake, an insert a second")
    samples: dict[str, list[float]] = {name: [] for name in (*schedules, *woken_by_insert)}
    for turn in range(rounds):
        for name in list(samples)[:: -1 if turn % 2 else 1]:
            _switch(site, wake=name in woken_by_insert)
            job = "update cron.job set schedule = '{}', active = {} where jobname = 'bubble-sync-processor'"
            site.by_hand(job.format(schedules.get(name, "* * * * *"), str(name in schedules).lower()))
            samples[name].append(_percentile(site, endpoint, SPANS[name]))
    goals = {"5 seconds": 0.1, "wake": 0.01, "wake, an insert a second": None}
    for name in list(samples)[1:]:
        yield Row(f"insert to request, p95, {name}, over a minute", samples[name], samples["minute"], goals[name])


def _percentile(site: Site, endpoint: HoldingEndpoint, span: float) -> float:
    """Return the 95th percentile of one spread of inserts; each waits for the first request after it."""
    site.by_hand("truncate public.sync_queue", "truncate bubble_sync.dispatches")
    inserted = []
    with psycopg.connect(site.addresses.database_url, autocommit=True) as session:
        for _ in range(INSERTS):
            # Before: the request can arrive earlier than the insert returns.
            inserted.append(time.monotonic())
            session.execute(INSERT, (1,))
            time.sleep(span / INSERTS)  # a steady stream, so that inserts meet every moment of the interval
    newest = poll(lambda: endpoint.times[-1:], lambda times: max(times, default=0.0) >= inserted[-1], 70)
    if max(newest, default=0.0) < inserted[-1]:
        raise TimeoutError("no request came for the last insert")
    waited = [min(at for at in endpoint.times if at >= moment) - moment for moment in inserted]
    return statistics.quantiles(waited, n=20)[-1]


def _cost(site: Site, rounds: int, how: str) -> Iterator[Row]:
    """Compare inserts with and without the trigger, by time and by WAL."""
    with psycopg.connect(site.addresses.database_url, autocommit=True) as session:
        single = partial(_inserts, session, SINGLE, BLOCK)
        bulk = partial(_inserts, session, MANY, 1)
        works: tuple[tuple[str, Callable[[], object], float | None], ...] = (
            (f"{BLOCK:,} transactions of one row", single, 1.10),
            (f"one insert of {MANY:,} rows", bulk, 1.05),
            (f"{SESSIONS} sessions at once, {EACH} rows each", partial(_at_once, site), None),
        )
        for what, work, goal in works:
            yield _row(f"{what}{how}", _alternate(site, seconds(work), rounds), goal)
        if not how:
            yield _row("an insert that sends", _alternate(site, partial(_alone, session), rounds), None)
            written = _alternate(site, partial(_wal, session, single), rounds)
            yield _row(f"WAL of {BLOCK:,} transactions of one row", written, None, "{:.0f} kB")


def _alternate(site: Site, work: Callable[[], float], rounds: int) -> Samples:
    def contestant(wake: bool) -> Callable[[], float]:
        def sample() -> float:
            _switch(site, wake=wake)
            site.by_hand("truncate public.sync_queue")
            return work()

        return sample

    return alternate({"with": contestant(True), "without": contestant(False)}, rounds)


def _row(what: str, samples: Samples, goal: float | None, sample: str = "{:.3f} s") -> Row:
    return Row(f"{what}, with a trigger over without", samples["with"], samples["without"], goal, sample)


def _switch(site: Site, *, wake: bool) -> None:
    site.by_hand(f"alter table public.sync_queue {'enable' if wake else 'disable'} trigger {WAKE_TRIGGER}")


def _inserts(session: psycopg.Connection[tuple[object, ...]], rows: int, times: int) -> None:
    for _ in range(times):
        session.execute(INSERT, (rows,), prepare=True)


def _alone(session: psycopg.Connection[tuple[object, ...]]) -> float:
    """Return the median time of inserts that come one by one, so that each sends a request."""
    taken = []
    for _ in range(ALONE):
        time.sleep(ALONE_SECONDS)  # the interval of the wake before has closed
        taken.append(seconds(partial(_inserts, session, SINGLE, 1))())
    return statistics.median(taken)


def _at_once(site: Site) -> None:
    start = threading.Barrier(SESSIONS)

    def work(_: int) -> None:
        with psycopg.connect(site.addresses.database_url, autocommit=True) as session:
            start.wait()
            _inserts(session, SINGLE, EACH)

    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(work, range(SESSIONS)))


def _wal(session: psycopg.Connection[tuple[object, ...]], work: Callable[[], None]) -> float:
    """Return the kilobytes of WAL that were written meanwhile."""
    (before,) = session.execute("select pg_current_wal_insert_lsn()::text").fetchone() or ("",)
    work()
    since = session.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", (before,)).fetchone()
    return float(str(since[0])) / 1000 if since else 0.0
