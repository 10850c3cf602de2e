"""Count the pages of a tick: without an item to send, and with a long backlog over a short one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

import psycopg

from bench.measure import Row
from bench.workbench import Workbench
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import ProcessorSettings
from bubble_sync.database.database import Database
from bubble_sync.model.setup import EXTENSIONS
from bubble_sync.specs import ExtensionSpec
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, functions_in, ledger_spec, secret_spec

FINISHED, FEW, MANY = 10_000_000, 10, 100_000
#: Those that docs/reference/performance.md advises.
INDEXES: tuple[LiteralString, ...] = (
    "create index sync_queue_pending_operation on public.sync_queue (operation) where status = 'pending'",
    "create index sync_queue_retry_due on public.sync_queue (next_retry_at) "
    "where status = 'failed' and retry_count < max_retries",
)
_ITEMS: LiteralString = """
insert into public.sync_queue (table_name, record_id, operation, status, created_at, processed_at)
select 'user', number::text, 'INSERT', %s, now() - interval '1 hour', now()
from generate_series(1, %s) as number
"""
_ANSWERED: tuple[LiteralString, ...] = (
    "insert into bubble_sync.dispatches (function, waiting, request_id, sent_at, settled_at, verdict) "
    "values ('bubble_sync_processor', 5, -1, now(), now(), 'ok')",
    "insert into net._http_response (id, status_code, content, created) "
    'values (-1, 200, \'{"success": true, "claimed": true}\', now())',
)


def run(bench: Workbench) -> Iterator[Row]:
    """Pages of a tick, idle and with a backlog."""
    with closing(Database(read_database_url(bench.addresses.database_url))) as database:
        site = Site(bench.addresses, database)
        _prepare(site)
        _fill(site, "completed", FINISHED)
        for job in ("processor", "retry"):
            pages = _pages(site, f"public.invoke_bubble_sync_{job}", bench.rounds)
            yield Row(f"idle tick of the {job}, {FINISHED:,} finished items", pages, goal=10, sample="{:,.0f} pages")
        site.by_hand("truncate public.sync_queue", *_ANSWERED)
        sides = {1: "as by default", 4: "four requests a tick"}
        samples = {requests: _backlogs(site, requests, bench.rounds) for requests in sides}
        for requests, what in sides.items():
            few, many = samples[requests]
            goal = 2.0 if requests > 1 else None
            yield Row(f"tick with {MANY:,} waiting over {FEW} waiting, {what}", many, few, goal, "{:,.0f} pages")


def _prepare(site: Site) -> None:
    site.converge(ledger_spec())
    for name in EXTENSIONS:
        site.converge(ExtensionSpec(name=name, stack=STACK))
    for name, value in (("supabase_url", "https://example.com"), ("service_role_key", "sb_secret_key")):
        site.converge(secret_spec(name=name, value=value))
    _install(site, 1)
    site.by_hand("drop index public.sync_queue_open, public.sync_queue_retry, public.sync_queue_one_pending", *INDEXES)


def _install(site: Site, requests: int) -> None:
    for spec in functions_in("functions", jobs={"processor": ProcessorSettings(requests_per_tick=requests)}):
        site.converge(spec)


def _fill(site: Site, status: str, items: int) -> None:
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        conn.execute(_ITEMS, (status, items))
        conn.execute("vacuum (analyze) public.sync_queue")


def _backlogs(site: Site, requests: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return the pages with few and with many items."""
    _install(site, requests)
    found = []
    for items in (FEW, MANY):
        site.by_hand("truncate public.sync_queue")
        _fill(site, "pending", items)
        found.append(_pages(site, "public.invoke_bubble_sync_processor", rounds))
    return found[0], found[1]


def _pages(site: Site, function: LiteralString, rounds: int) -> list[float]:
    """Count the pages of runs that are rolled back, every statement inside the function included."""
    with psycopg.connect(site.addresses.database_url) as conn:
        return [_explained(conn, function) for _ in range(rounds + 1)][1:]  # the first call of a session plans


def _explained(conn: psycopg.Connection[Any], function: LiteralString) -> float:
    row = conn.execute(f"explain (analyze, buffers, format json) select {function}()").fetchone()
    conn.rollback()
    (answer,) = row[0] if row else [{}]
    return float(answer["Plan"]["Shared Hit Blocks"] + answer["Plan"]["Shared Read Blocks"])
