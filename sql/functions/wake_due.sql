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
    gap constant interval := min_interval * interval '1 second';
    moment constant timestamptz := pg_catalog.clock_timestamp();
    sent timestamptz[];
    opens timestamptz;
    queued bigint;
    untaken boolean;
    takers bigint[];
    next_xid bigint;
begin
    -- One request in each interval, and two in reserve: a follow-up, and one more for the pause that pg_net makes then.
    sent := array(
        select dispatch.sent_at from bubble_sync.dispatches as dispatch
        where dispatch.function = wake_due.source
            and dispatch.sent_at > moment - 3 * gap and dispatch.sent_at < moment + gap
        order by dispatch.sent_at desc
        limit 3
    );
    opens := least(sent[1] + gap, sent[2] + 2 * gap, sent[3] + 3 * gap);
    if sent[3] is not null and opens > moment then
        -- A request of this very transaction may still be rolled back, and then closes nothing.
        if sent[1] < pg_catalog.now() then
            perform pg_catalog.setval('bubble_sync.wake_closed_until', (1000 * pg_catalog.date_part('epoch', opens))::bigint);
        end if;
        return false;
    end if;

    -- pg_net sends one batch after the other. A request that it has yet to take will see the items; behind one that it has
    -- taken, a follow-up waits for the answer. The xmax of a row is the transaction that takes the request.
    select pg_catalog.count(*), pg_catalog.bool_or(request.ours and request.xmax = '0'),
        pg_catalog.array_agg(request.xmax::text::bigint) filter (where request.ours and request.xmax <> '0')
    into queued, untaken, takers
    from (
        select waiting.xmax, waiting.url like '%/functions/v1/bubble_sync'
            and pg_catalog.position(waiting.body, pg_catalog.convert_to(wake_due.action, 'UTF8')) > 0 as ours
        from net.http_request_queue as waiting
        limit 1000
    ) as request;
    -- Behind so many requests, the job will be earlier.
    if untaken or queued = 1000 then
        return false;
    end if;

    -- A worker that failed has taken nothing.
    next_xid := pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint;
    return not exists (
        select from pg_catalog.unnest(takers) as taker (xid)
        where 'aborted' = pg_catalog.pg_xact_status(
            (next_xid - (next_xid - taker.xid & 4294967295))::text::xid8
        )
    );
end;
$function$;

comment on function bubble_sync.wake_due(text, text, integer) is 'bubble-sync: whether an insert may send a request now';
