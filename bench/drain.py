"""The drain of a backlog: parallel claiming requests, over the guide's settings and over plain SKIP LOCKED workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from bench.measure import Row, alternate
from bench.workbench import Workbench
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import ProcessorSettings
from bubble_sync.database.database import Database
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.hosted import install_reference
from bubble_sync.model.setup import EXTENSIONS
from bubble_sync.specs import ExtensionSpec
from tests.fixtures.platform import reset
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import STACK, ledger_spec, secret_spec

ITEMS = 1000
WORK_SECONDS = 0.05
#: Requests of one tick, and workers of the baseline.
PARALLEL = 4
GUIDE = ProcessorSettings()
#: The guide's tick of a minute, scaled down: the work of its ten items takes half of a second.
SCALED_TICK_SECONDS = 1.0
SCALED_TICKS = 5
PATIENCE_SECONDS = 120.0

_ADD: LiteralString = """
    insert into public.sync_queue (table_name, record_id, operation)
    select 'user', number, 'INSERT' from generate_series(1, %s) as number
"""
#: Every completion of an item is a row: an item with two was worked on twice.
_LOG: tuple[LiteralString, ...] = (
    "create table public.bench_done (id uuid)",
    "create function public.bench_log() returns trigger language plpgsql security definer as "
    "$$ begin insert into public.bench_done values (new.id); return null; end $$",
    "create trigger bench_log after update on public.sync_queue for each row when (new.status = 'completed') "
    "execute function public.bench_log()",
)
_TICK: LiteralString = "select public.invoke_bubble_sync_processor() from generate_series(1, %s)"
_TAKE: LiteralString = """
    select id from public.sync_queue where status = 'pending' order by created_at, id limit 1 for update skip locked
"""
_COMPLETE: LiteralString = "update public.sync_queue set status = 'completed', processed_at = now() where id = %s"
_OUTCOME: LiteralString = """
    select count(*) as done, count(distinct id) as items, (select max(processed_at) from public.sync_queue) as last
    from public.bench_done
"""


def run(bench: Workbench) -> Iterator[Row]:
    """Drain 1,000 items of 50 ms each with parallel claiming requests, over the guide's settings and plain workers."""
    with closing(Database(read_database_url(bench.addresses.database_url))) as db:
        site = Site(bench.addresses, db)
        sides = {
            "tuned": lambda: _drained(site, lambda: _request(site.addresses)),
            "worker": lambda: _drained(site, lambda: _work(site.addresses)),
        }
        samples = alternate(sides, bench.rounds)
        computed = ITEMS / GUIDE.max_items * 60
        measured = ITEMS / _items_a_tick(site) * 60
    what = f"{ITEMS:,} items of {1000 * WORK_SECONDS:.0f} ms, {PARALLEL} claiming requests, over"
    rounds = len(samples["tuned"])
    yield Row(f"{what} the guide's settings, computed", samples["tuned"], [computed] * rounds, 1 / 20)
    yield Row(f"{what} the guide's settings, from a scaled-down run", samples["tuned"], [measured] * rounds, 1 / 20)
    yield Row(f"{what} {PARALLEL} SKIP LOCKED workers", samples["tuned"], samples["worker"], 1 / 0.8)


def _drained(site: Site, drain: Callable[[], None]) -> float:
    """Drain a fresh queue; return the seconds until the last completion. A lost or repeated item is an error."""
    _prepare(site, ITEMS, max_items=ITEMS, batch_size=10)
    started: datetime = site.by_hand("select clock_timestamp() as at")[0]["at"]
    drain()
    (outcome,) = site.by_hand(_OUTCOME)
    if (outcome["done"], outcome["items"]) != (ITEMS, ITEMS):
        raise RuntimeError(f"of {ITEMS} items {outcome['items']} were completed, {outcome['done']} times in all")
    return float((outcome["last"] - started).total_seconds())


def _prepare(site: Site, items: int, **numbers: int) -> None:
    """Install everything on a fresh project, with these numbers of the processor, and fill the queue."""
    reset(site.addresses)
    site.end_sessions()
    site.converge(ledger_spec())
    for name in EXTENSIONS:
        site.converge(ExtensionSpec(name=name, stack=STACK))
    for name, value in (
        ("supabase_url", site.addresses.endpoint_url), ("service_role_key", site.addresses.service_role_key),
    ):  # fmt: skip
        site.converge(secret_spec(name=name, value=value))
    for spec in stack_functions(**numbers):
        site.converge(spec)
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        install_reference(conn)
        for statement in _LOG:
            conn.execute(statement)
        conn.execute(_ADD, [items])
    Behaviour(claims=True, work_seconds=WORK_SECONDS).save(site.addresses.folder)


def _request(addresses: Addresses) -> None:
    """Send all requests in one tick, and wait until the queue is empty."""
    pause = threading.Event()
    with psycopg.connect(addresses.database_url, autocommit=True) as conn:
        conn.execute(_TICK, [PARALLEL])
        for _ in range(int(PATIENCE_SECONDS / 0.1)):
            if _completed(conn) == ITEMS:
                return
            pause.wait(0.1)
        raise RuntimeError(f"{_completed(conn)} of {ITEMS} items are completed after {PATIENCE_SECONDS:.0f} s")


def _work(addresses: Addresses) -> None:
    """Take, work on and complete item after item, in one transaction each."""

    def work() -> None:
        with psycopg.connect(addresses.socket_url("authenticator"), autocommit=True) as conn:
            conn.execute("set role service_role")
            while _one_item(conn):
                pass

    threads = [threading.Thread(target=work) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _one_item(conn: psycopg.Connection[Any]) -> bool:
    with conn.transaction():
        item = conn.execute(_TAKE).fetchone()
        if item is None:
            return False
        threading.Event().wait(WORK_SECONDS)
        conn.execute(_COMPLETE, item)
    return True


def _items_a_tick(site: Site) -> float:
    """Run some ticks with the guide's settings, a second for a minute; return the items of one."""
    _prepare(site, SCALED_TICKS * GUIDE.max_items * 2)
    pause = threading.Event()
    with psycopg.connect(site.addresses.database_url, autocommit=True) as conn:
        for _ in range(SCALED_TICKS):
            conn.execute(_TICK, [1])
            pause.wait(SCALED_TICK_SECONDS)
        done = _completed(conn)
    return done / SCALED_TICKS


def _completed(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("select count(*) from public.sync_queue where status = 'completed'").fetchone()
    return int(row[0]) if row else 0
