"""Queues as public migrations make them: taken over with every command right, or refused in one list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bubble_sync.actions.requeue import carry_out, release_plan, requeue_plan
from bubble_sync.actions.run_now import count_items
from bubble_sync.errors import PrerequisiteMissing
from bubble_sync.health.failures import failures
from bubble_sync.health.metrics import measure
from bubble_sync.health.report import report
from bubble_sync.health.status import status, watch_snapshot
from bubble_sync.health.trace import trace
from bubble_sync.health.verify import verify
from bubble_sync.specs import PrerequisitesSpec
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

WORDS = "('pending', 'processing', 'completed', 'failed')"
COLUMNS = {
    "id": "uuid primary key default gen_random_uuid()",
    "record_id": "text not null",
    "operation": "text not null",
    "status": "text not null default 'pending'",
    "error_message": "text",
    "retry_count": "integer not null default 0",
    "max_retries": "integer not null default 3",
    "created_at": "timestamptz not null default now()",
    "processed_at": "timestamptz",
    "next_retry_at": "timestamptz",
}


def queue(*after: str, tail: str = "", **columns: str) -> tuple[str, ...]:
    """Return the statements of a queue with other columns, and what follows."""
    listed = ", ".join(f"{name} {kind}" for name, kind in {**COLUMNS, **columns}.items())
    return "drop table public.sync_queue cascade", f"create table public.sync_queue ({listed}){tail}", *after


BIGINT = "bigint generated always as identity primary key"
ADOPTED = {
    "bigint ids": queue(id=BIGINT, record_id="bigint not null"),
    "integer ids of a serial": queue(id="serial primary key"),
    "text ids": queue(id="text primary key default 'q-' || gen_random_uuid()"),
    "ids of a domain": (
        "create domain public.queue_id as uuid check (value is not null)",
        *queue(id="public.queue_id primary key default gen_random_uuid()"),
    ),
    "ids over two columns": queue(id="uuid not null default gen_random_uuid(), primary key (id, record_id)"),
    "ids without a key": queue(id="uuid default gen_random_uuid()"),
    "words of enums": (
        f"create type public.states as enum {WORDS}",
        "create type public.operations as enum ('INSERT', 'UPDATE', 'DELETE', 'SIGNUP_ATOMIC')",
        *queue(status="public.states not null default 'pending'", operation="public.operations not null"),
    ),
    "words of a domain": (
        f"create domain public.state as varchar(20) check (value in {WORDS})",
        *queue(status="public.state not null default 'pending'"),
    ),
    "words in short texts": queue(
        status="varchar(10) not null default 'pending'", operation="varchar(20) not null", error_message="varchar"
    ),
    "words that a CHECK lists": queue(
        f"alter table public.sync_queue add check (status in {WORDS}), "
        "add check (operation = any (array['SIGNUP_ATOMIC', 'INSERT', 'UPDATE', 'DELETE']))"
    ),
    "numbers of other sizes": queue(retry_count="smallint not null default 0", max_retries="bigint not null default 3"),
    "times to the second": queue(created_at="timestamptz(0) not null default now()", processed_at="timestamptz(0)"),
    "parts by time": queue(
        "create table public.queue_old partition of public.sync_queue for values from (minvalue) to ('2020-01-01')",
        "create table public.sync_queue_rest partition of public.sync_queue default",
        id="uuid not null default gen_random_uuid(), primary key (id, created_at)",
        tail=" partition by range (created_at)",
    ),
    "parts by status": queue(
        "create table public.sync_queue_open partition of public.sync_queue for values in ('pending', 'processing')",
        "create table public.sync_queue_rest partition of public.sync_queue default",
        id="uuid not null default gen_random_uuid(), primary key (id, status)",
        tail=" partition by list (status)",
    ),
    "a child that inherits": queue("create table public.sync_queue_child () inherits (public.sync_queue)"),
    "generated columns": queue(
        next_retry_at="timestamptz, is_done boolean generated always as (status = 'completed') stored, "
        "wait interval generated always as (processed_at - created_at) stored"
    ),
    "forced row security": queue(
        "alter table public.sync_queue enable row level security, force row level security",
        "create policy all_of_it on public.sync_queue to authenticated using (record_id = current_user)",
    ),
    "triggers": queue(
        "create function public.touch() returns trigger language plpgsql as $$ begin "
        "if new.status = 'failed' then new.next_retry_at := now() + interval '5 minutes'; end if; return new; end $$",
        "create trigger touch before insert or update on public.sync_queue for each row execute function touch()",
    ),
    "columns of an odd case beside ours": queue(next_retry_at='timestamptz, "Status" text, "recordId" jsonb'),
    "an unlogged table": (
        "drop table public.sync_queue cascade",
        f"create unlogged table public.sync_queue ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})",
    ),
}
REFUSED = {
    "a view": (
        (
            *queue("alter table public.sync_queue rename to items"),
            "create view public.sync_queue as table public.items",
        ),
        ("table public.sync_queue (it is a view)",),
    ),
    "a foreign table": (
        (
            "create extension file_fdw",
            "create server files foreign data wrapper file_fdw",
            "drop table public.sync_queue cascade",
            "create foreign table public.sync_queue ("
            + ", ".join(f"{name} {kind.split(' ')[0]}" for name, kind in COLUMNS.items())
            + ") server files options (filename '/dev/null')",
        ),
        ("table public.sync_queue (it is a foreign table)",),
    ),
    "a materialized view": (
        (
            *queue("alter table public.sync_queue rename to items"),
            "create materialized view public.sync_queue as table public.items",
        ),
        ("table public.sync_queue (it is a materialized view)",),
    ),
    "times without zone": (
        queue(created_at="timestamp not null default now()", next_retry_at="timestamp"),
        (
            "column public.sync_queue.created_at as timestamp with time zone (it is timestamp without time zone)",
            "column public.sync_queue.next_retry_at as timestamp with time zone (it is timestamp without time zone)",
        ),
    ),
    "other types": (
        queue(error_message="jsonb", retry_count="numeric not null default 0", status="integer not null default 0"),
        (
            "column public.sync_queue.error_message as text (it is jsonb)",
            "column public.sync_queue.retry_count as smallint,integer,bigint (it is numeric)",
            "column public.sync_queue.status as text (it is integer)",
        ),
    ),
    "arrays": (
        queue(operation="text[] not null"),
        ("column public.sync_queue.operation as text (it is text[])",),
    ),
    "another vocabulary": (
        (
            "create type public.states as enum ('queued', 'processing', 'done', 'failed')",
            *queue(
                "alter table public.sync_queue add constraint op check (operation in ('INSERT', 'UPDATE'))",
                status="public.states not null default 'queued'",
            ),
        ),
        (
            "operation 'SIGNUP_ATOMIC' in the constraint op of public.sync_queue",
            "status 'completed' in the enum of public.sync_queue.status",
            "status 'pending' in the enum of public.sync_queue.status",
        ),
    ),
    "words of a domain over an enum": (
        (
            f"create type public.states as enum {WORDS}",
            "create domain public.state as public.states",
            *queue(status="public.state not null default 'pending'"),
        ),
        ("column public.sync_queue.status as text or enum (it is a domain over the enum public.states)",),
    ),
    "a mixed case": (
        (*queue(), 'alter table public.sync_queue rename status to "Status"'),
        ("column public.sync_queue.status",),
    ),
}
ASKED: dict[str, Callable[[Site], object]] = {
    "status": lambda site: status(site.db, working(), STACK),
    "verify": lambda site: verify(site.db, working(), STACK, None),
    "doctor": diagnose,
    "failures": lambda site: failures(site.db, STACK, None, 10),
    "metrics": lambda site: measure(site.db, working(), STACK, "1.0.0"),
    "report": lambda site: report(site.db, working(), STACK, None, timedelta(hours=4)),
    "watch": lambda site: watch_snapshot(site.db, working(), STACK),
    "run-now": lambda site: count_items(site.db),
}


def items(site: Site) -> dict[str, str]:
    """Insert an item of each status and return the ids by record."""
    site.by_hand(
        "insert into public.sync_queue (record_id, operation, status, retry_count, created_at, processed_at) "
        f"select number, 'SIGNUP_ATOMIC', words.word, 3, now() - interval '3 hours', "
        "case when words.word::text = 'completed' then now() end "
        f"from unnest(array['pending', 'processing', 'completed', 'failed']::{status_type(site)}[]) "
        "with ordinality as words (word, number)"
    )
    rows = site.by_hand("select id::text, status::text from public.sync_queue")
    return {row["status"]: row["id"] for row in rows}


def status_type(site: Site) -> str:
    """Return the type of the queue's status."""
    (row,) = site.by_hand(
        "select format_type(atttypid, atttypmod) as type from pg_attribute "
        "where attrelid = 'public.sync_queue'::regclass and attname = 'status'"
    )
    return str(row["type"])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("shape", ADOPTED)
def test_a_queue_of_this_shape_is_taken_over_and_every_command_is_right(site: Site, shape: str):
    site.by_hand(*ADOPTED[shape], "alter table public.sync_queue owner to postgres")
    site.converge(PrerequisitesSpec())
    set_up(site, working())
    ids = items(site)

    for asked in ASKED.values():
        assert asked(site) is not None
    found = trace(site.db, working(), STACK, None, ids["failed"])
    assert found is not None
    assert found.id == ids["failed"]
    counted = status(site.db, working(), STACK).queue
    assert (counted.stalled, counted.dead, counted.unrecognised) == (1, 1, 0)

    assert carry_out(site.db, requeue_plan(site.db, [ids["failed"]])).changed == (ids["failed"],)
    assert carry_out(site.db, release_plan(site.db, None)).changed == (ids["processing"],)
    site.by_hand("set role postgres", "select public.invoke_bubble_sync_processor()")
    (sent,) = site.by_hand("select waiting from bubble_sync.dispatches")
    assert sent["waiting"] == 2, "the retry job takes the item that had failed"


@pytest.mark.parametrize("shape", REFUSED)
def test_a_queue_of_this_shape_is_refused_in_one_list_before_anything_is_changed(site: Site, shape: str):
    by_hand, named = REFUSED[shape]
    site.by_hand(*by_hand, "grant select on public.sync_queue to postgres")

    with pytest.raises(PrerequisiteMissing) as refused:
        site.converge(PrerequisitesSpec())

    assert tuple(line.removeprefix("  - ") for line in str(refused.value).splitlines()[1:]) == named
    assert site.by_hand("select extname from pg_extension where extname = 'pg_cron'") == []
