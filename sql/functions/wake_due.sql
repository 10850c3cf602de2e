-- Return whether an insert may send a request now: the interval is open, and no request waits that will see the items. Reads
-- nothing of the queue, so that the cost of an insert does not depend on its size.
create or replace function bubble_sync.wake_due(source text, action text, min_interval integer)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    reserve constant integer := 5;
    gap constant interval := min_interval * interval '1 second';
    moment constant timestamptz := pg_catalog.clock_timestamp();
    newest timestamptz;
    opens timestamptz;
    queued bigint;
    untaken boolean;
    takers bigint[];
    near bigint;
begin
    -- One request in each interval, with a reserve for the first insert of a moment and those right after it.
    select case when pg_catalog.count(*) = reserve then pg_catalog.min(recent.sent_at + recent.place * gap) end,
        pg_catalog.max(recent.sent_at)
    into opens, newest
    from (
        select dispatch.sent_at, pg_catalog.row_number() over (order by dispatch.sent_at desc) as place
        from bubble_sync.dispatches as dispatch
        where dispatch.function = wake_due.source
            and dispatch.sent_at > moment - reserve * gap and dispatch.sent_at < moment + gap
        order by dispatch.sent_at desc
        limit reserve
    ) as recent;
    if opens > moment then
        -- A request of this very transaction may still be rolled back, and then closes nothing.
        if newest < pg_catalog.now() then
            -- A second at most: the configuration may open the interval earlier.
            perform pg_catalog.setval(
                'bubble_sync.wake_closed_until',
                (1000 * pg_catalog.date_part('epoch', least(opens, moment + interval '1 second')))::bigint
            );
        end if;
        return false;
    end if;

    -- pg_net sends one batch after the other. A request that it has yet to take will see the items; behind one that it has
    -- taken, a follow-up waits for the answer. The xmax of a row is the transaction that takes the request.
    select pg_catalog.count(*), pg_catalog.bool_or(request.ours and request.xmax = '0'),
        pg_catalog.array_agg(request.xmax::text::bigint) filter (where request.ours and request.xmax <> '0')
    into queued, untaken, takers
    from (
        select waiting.xmax, waiting.url ~ '/functions/v1/bubble_sync$'
            and pg_catalog.position(waiting.body, pg_catalog.convert_to('"' || wake_due.action || '"', 'UTF8')) > 0 as ours
        from net.http_request_queue as waiting
        limit 1000
    ) as request;
    if untaken or queued = 1000 then
        -- Behind so many requests the job comes earlier. The next inserts need not look again: 20 ms.
        if coalesce(newest < pg_catalog.now(), true) then
            perform pg_catalog.setval(
                'bubble_sync.wake_closed_until', (20 + 1000 * pg_catalog.date_part('epoch', moment))::bigint
            );
        end if;
        return false;
    end if;

    -- A worker that failed has taken nothing. A row has the last 32 bits of the transaction; a known one completes them.
    near := pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint;
    return not exists (
        select from pg_catalog.unnest(takers) as taker (xid)
        where 'aborted' = pg_catalog.pg_xact_status(
            (near + (taker.xid - near + 2147483648 & 4294967295) - 2147483648)::text::xid8
        )
    );
end;
$function$;

comment on function bubble_sync.wake_due(text, text, integer) is 'bubble-sync: whether an insert may send a request now';
