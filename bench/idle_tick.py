"""What a run of each function costs when nothing waits, on a queue of a million finished items."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any, LiteralString, NamedTuple

import psycopg

from bench.measure import Row, alternate, sample_row
from bench.workbench import Workbench
from bubble_sync.model.setup import EXTENSIONS
from bubble_sync.specs import ExtensionSpec
from tests.fixtures.site import stack_functions
from tests.fixtures.specs import STACK, ledger_spec

ITEMS = 1_000_000
LEFT_OVER = 10_000
FUNCTIONS: tuple[LiteralString, ...] = ("invoke_bubble_sync_processor", "invoke_bubble_sync_retry")

Indexes = tuple[LiteralString, ...]
#: What there is before the first item; the two unique constraints of the queue stay in every variant.
SOURCE: Indexes = (
    "create index bench_1 on public.sync_queue (status, created_at) where status in ('pending', 'failed')",
    "create index bench_2 on public.sync_queue (next_retry_at) where status = 'failed' and retry_count < 3",
    "create unique index bench_3 on public.sync_queue (table_name, record_id) where status = 'pending'",
)
PLAIN: Indexes = (
    "create index bench_1 on public.sync_queue (operation) where status = 'pending'",
    "create index bench_2 on public.sync_queue (next_retry_at) where status = 'failed'",
)
ADVISED: Indexes = (
    "create index bench_1 on public.sync_queue (operation) where status = 'pending'",
    "create index bench_2 on public.sync_queue (next_retry_at) where status = 'failed' and retry_count < max_retries",
)
VARIANTS: dict[str, Indexes] = {"no index": (), "source": SOURCE, "by status": PLAIN, "advised": ADVISED}

_FILL = """
insert into public.sync_queue (table_name, record_id, operation, status, created_at, processed_at)
select 'user', item::text, (array['SIGNUP_ATOMIC', 'INSERT', 'UPDATE', 'DELETE'])[1 + item %% 4], 'completed',
    now() - item * interval '1 second', now() - item * interval '1 second'
from generate_series(1, %s) as item
"""
# What no job ever takes: items that have used up their attempts, and deletes, which the processor does not ask for.
_LEAVE_OVER = """
insert into public.sync_queue (table_name, record_id, operation, status, retry_count, next_retry_at)
select 'user', 'left over ' || item, case when item %% 2 = 0 then 'DELETE' else 'INSERT' end,
    case when item %% 2 = 0 then 'pending' else 'failed' end, case when item %% 2 = 0 then 0 else 3 end,
    case when item %% 4 = 1 then now() - interval '1 hour' end
from generate_series(1, 2 * %s) as item
"""
_LIFE = """
with made as (
    insert into public.sync_queue (table_name, record_id, operation)
    select 'user', 'life ' || item, 'INSERT' from generate_series(1, 1000) as item returning id
) select count(*) from made
"""
_FINISH = "update public.sync_queue set status = 'completed', processed_at = now() where record_id like 'life %'"


class Tick(NamedTuple):
    """What one run touched and took."""

    buffers: int
    milliseconds: float


def run(bench: Workbench) -> Iterator[Row]:
    """Ask EXPLAIN for the whole call: the counts include every statement inside the function."""
    site = bench.site()
    site.converge(ledger_spec())
    for name in EXTENSIONS:
        site.converge(ExtensionSpec(name=name, stack=STACK))
    for spec in stack_functions():
        site.converge(spec)
    with psycopg.connect(bench.addresses.admin_url, autocommit=True) as conn:
        _drop_indexes(conn)
        conn.execute("alter table public.sync_queue set (autovacuum_enabled = false)")
        conn.execute(_FILL, (ITEMS,))
        conn.execute("vacuum (freeze, analyze) public.sync_queue")
        yield from _ticks(conn, bench.rounds, f"{ITEMS:,} finished")
        conn.execute(_LEAVE_OVER, (LEFT_OVER,))
        conn.execute("vacuum (analyze) public.sync_queue")
        yield from _ticks(conn, bench.rounds, "with left over")
        yield from _writes(conn, bench.rounds)


def _ticks(conn: psycopg.Connection[Any], rounds: int, state: str) -> Iterator[Row]:
    found: dict[tuple[str, str], list[Tick]] = {}

    def sample(name: str, indexes: Indexes) -> Callable[[], float]:
        def once() -> float:
            _use(conn, indexes)
            for function in FUNCTIONS:
                explained(conn, function)  # the first call of a session plans
                found.setdefault((function, name), []).append(explained(conn, function))
            return 0.0

        return once

    alternate({name: sample(name, indexes) for name, indexes in VARIANTS.items()}, rounds)
    for function in FUNCTIONS:
        for name in VARIANTS:
            buffers = [tick.buffers for tick in found[function, name]]
            took = sorted(tick.milliseconds for tick in found[function, name])
            note = f"{statistics.median(took):.2f} ms ({took[0]:.2f}-{took[-1]:.2f})"
            word = function.removeprefix("invoke_bubble_sync_")
            yield sample_row(f"{word}, {state}, {name}", buffers, "buffers", note=note)


def _writes(conn: psycopg.Connection[Any], rounds: int) -> Iterator[Row]:
    def sample(indexes: Indexes) -> Callable[[], float]:
        def once() -> float:
            _use(conn, indexes)
            with conn.transaction(force_rollback=True):
                return sum(_wal(conn, statement) for statement in (_LIFE, _FINISH)) / 1000

        return once

    samples = alternate({name: sample(indexes) for name, indexes in VARIANTS.items()}, rounds)
    for name, wal in samples.items():
        yield sample_row(f"an item inserted and finished, {name}", wal, "bytes of WAL")


def _use(conn: psycopg.Connection[Any], indexes: Indexes) -> None:
    _drop_indexes(conn)
    for statement in indexes:
        conn.execute(statement)


def _drop_indexes(conn: psycopg.Connection[Any]) -> None:
    for name in ("bench_1", "bench_2", "bench_3", "sync_queue_open", "sync_queue_retry", "sync_queue_one_pending"):
        conn.execute(psycopg.sql.SQL("drop index if exists public.{}").format(psycopg.sql.Identifier(name)))


def explained(conn: psycopg.Connection[Any], function: LiteralString) -> Tick:
    """Run a function of ours, and count everything in it."""
    row = conn.execute("explain (analyze, buffers, format json) select public." + function + "()").fetchone()
    (answer,) = row[0] if row else [{}]
    plan = answer["Plan"]
    return Tick(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], answer["Execution Time"])


def _wal(conn: psycopg.Connection[Any], statement: LiteralString) -> int:
    row = conn.execute("explain (analyze, wal, format json) " + statement).fetchone()
    return int(row[0][0]["Plan"]["WAL Bytes"]) if row else 0
