"""A year played quickly: a clock that a session sets, and what pg_cron, pg_net and the endpoint do at each tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from tests.fixtures.pages import pages_read
from tests.fixtures.site import Site

#: Minutes between two ticks of the year, with an item and a request each.
STEP = 10
#: Ticks between two calls of the clean-up, which reads the whole history of a month.
CLEAN_UP = 18
#: A leap year with both changes of the hour.
START = "2028-01-01 00:00:00+00"
DAY = 24 * 60 // STEP
TABLES = (
    "bubble_sync.dispatches", "bubble_sync.alerts", "cron.job_run_details", "net._http_response",
    "net.http_request_queue",
)  # fmt: skip
TICKS = {
    "an idle tick": "select public.invoke_bubble_sync_processor()",
    "a tick with an item": "select public.invoke_bubble_sync_processor()",
    "a look for alerts": "select bubble_sync.alert()",
    "a call of the clean-up": "select bubble_sync.delete_old_runs()",
}
_PLAY = (
    "drop schema if exists play cascade",
    "create schema play",
    "create table play.posts (at timestamptz, message text)",
    """create function play.now() returns timestamptz stable language sql
        as $$ select pg_catalog.current_setting('play.now')::timestamptz $$""",
    """create function play.begin(name text) returns bigint security definer language sql as $$
        insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status, start_time)
        select jobid, pg_catalog.nextval('cron.runid_seq'), pg_catalog.pg_backend_pid(), database, username, command,
            'running', play.now()
        from cron.job where jobname = name returning runid $$""",
    """create function play.end(run bigint) returns void security definer language sql as $$
        update cron.job_run_details set status = 'succeeded', return_message = '1 row', end_time = play.now()
        where runid = run $$""",
    # pg_net and the endpoint: each request of before is answered, and each item of before completed.
    """create function play.answer() returns void security definer language plpgsql as $$
    begin
        with sent as (
            delete from net.http_request_queue returning id, url, body
        ), posted as (
            insert into play.posts select play.now(), pg_catalog.convert_from(body, 'UTF8')::json->>'text'
            from sent where url !~ '/functions/v1/'
        )
        insert into net._http_response (id, status_code, content, created, timed_out)
        select id, 200, '{"success": true, "processed": 1, "failed": 0}', play.now(), false from sent;
        delete from net._http_response where created < play.now() - interval '6 hours';
        update public.sync_queue set status = 'completed', processed_at = play.now() where status = 'pending';
    end $$""",
    f"""create procedure play.ticks(first integer, last integer, step integer) language plpgsql as $$
    declare
        run bigint;
    begin
        for tick in first .. last loop
            perform pg_catalog.set_config(
                'play.now', (timestamptz '{START}' + tick * step * interval '1 minute')::text, false);
            perform play.answer();
            insert into public.sync_queue (table_name, record_id, operation, created_at)
            values ('user', tick, 'INSERT', play.now());
            run := play.begin('bubble-sync-processor');
            perform public.invoke_bubble_sync_processor();
            perform play.end(run);
            run := play.begin('bubble-sync-retry');
            perform public.invoke_bubble_sync_retry();
            perform play.end(run);
            run := play.begin('bubble-sync-alerts');
            perform bubble_sync.alert();
            perform play.end(run);
            if tick % {CLEAN_UP} = 0 then
                run := play.begin('bubble-sync-history');
                perform bubble_sync.delete_old_runs();
                perform play.end(run);
            end if;
            commit;
        end loop;
    end $$""",
    "grant usage on schema play to public",
    "grant select on play.posts to public",
)
#: Ours, with the clock of the session.
_OWN_CLOCK = """
    do $do$
    declare
        definition text;
    begin
        for definition in
            select pg_get_functiondef(f.oid) from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
            where n.nspname = 'bubble_sync' or f.proname ~ '^invoke_bubble_sync'
        loop
            execute regexp_replace(definition, 'pg_catalog\\.(now|clock_timestamp)\\(\\)', 'play.now()', 'g');
        end loop;
    end $do$
"""
_DEFAULTS = (
    "alter table bubble_sync.dispatches alter sent_at set default play.now()",
    "alter table bubble_sync.alerts alter daily_told set default play.now(), alter weekly_told set default play.now()",
)


@dataclass(frozen=True)
class Measure:
    """What the tables take, and what each tick touches, at one time of the year."""

    bytes: dict[str, int]
    rows: dict[str, int]
    pages: dict[str, int]


class Year:
    """A converged site in a year of its own, in the session of a role whose time zone is not UTC."""

    def __init__(self, site: Site, zone: str) -> None:
        """Give every function the session's clock; the worker of pg_net must be stopped."""
        self.site = site
        site.by_hand(*_PLAY, _OWN_CLOCK, *_DEFAULTS)
        self.conn: psycopg.Connection[Any] = psycopg.connect(site.addresses.database_url, autocommit=True)
        self.conn.execute(f"set timezone = '{zone}'".encode())
        self.conn.execute("set client_min_messages = warning")
        self.conn.execute("set statement_timeout = 0")

    def play(self, first_day: int, days: int) -> None:
        """Play whole days; afterwards the server vacuums, and the application forgets its finished items."""
        self.conn.execute("call play.ticks(%s, %s, %s)", (first_day * DAY, (first_day + days) * DAY - 1, STEP))
        finished = "delete from public.sync_queue where status = 'completed'"
        self.site.by_hand(finished, *(f"vacuum (analyze) {table}" for table in (*TABLES, "public.sync_queue")))

    def measure(self) -> Measure:
        """Count bytes and rows of the tables, and the pages of each kind of tick, which is rolled back."""
        size = "select pg_total_relation_size('{0}')::bigint as bytes, (select count(*) from {0}) as rows"
        found = {table: self.site.by_hand(size.format(table))[0] for table in TABLES}
        return Measure(
            {table: row["bytes"] for table, row in found.items()},
            {table: row["rows"] for table, row in found.items()},
            {
                what: pages_read(self.conn, call, before="select" if "item" in what else "select play.answer()")
                for what, call in TICKS.items()
            },
        )
