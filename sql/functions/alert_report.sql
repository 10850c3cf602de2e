-- Summarise the queue and the requests of some days in one line of counts. The line begins with 'all green' without failed
-- or stuck items and without alerts in that time. A claimed item is stuck from the end of its lease on. Reads the whole queue,
-- so call it once a day. The line contains no text of an item or an answer.
create or replace function bubble_sync.alert_report(days integer, told boolean, dispatch_log boolean)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    since constant timestamptz := pg_catalog.now() - days * interval '1 day';
    items record;
    by_operation text;
    requests text;
begin
    select
        pg_catalog.count(*) filter (where item.status = 'failed') as failed,
        pg_catalog.count(*) filter (where item.status = 'failed' and item.retry_count >= item.max_retries) as given_up,
        pg_catalog.count(*) filter (where item.status = 'pending') as waiting,
        pg_catalog.count(*) filter (where item.status = 'completed' and item.processed_at >= since) as completed,
        pg_catalog.count(*) filter (
            where item.status = 'processing' and coalesce(
                -- include: items lease_end
            , greatest(item.created_at, item.processed_at, item.next_retry_at)) < pg_catalog.now() - interval '1 hour'
        ) as stuck
    into items
    from public.sync_queue as item;

    if items.failed > 0 then
        select pg_catalog.string_agg(counted.operation || ' ' || counted.failed, ', ' order by counted.operation)
        into by_operation
        from (
            select pg_catalog.count(*) as failed,
                case when item.operation::text in ('INSERT', 'UPDATE', 'DELETE', 'SIGNUP_ATOMIC')
                    then item.operation::text else 'other' end as operation
            from public.sync_queue as item
            where item.status = 'failed'
            group by 2
        ) as counted;
    end if;

    if dispatch_log then
        begin
            select pg_catalog.string_agg(counted.verdict || ' ' || counted.requests, ', ' order by counted.verdict)
            into requests
            from (
                select dispatch.verdict, pg_catalog.count(*) as requests
                from bubble_sync.dispatches as dispatch
                where dispatch.sent_at >= since and dispatch.verdict is not null
                group by dispatch.verdict
            ) as counted;
        exception when undefined_table or undefined_column then
            null;
        end;
    end if;

    return case when told or items.failed > 0 or items.stuck > 0 then 'not all green' else 'all green' end
        || pg_catalog.format(': %s completed, %s waiting, %s failed', items.completed, items.waiting, items.failed)
        || case when items.failed = 0 then ''
            else pg_catalog.format(' (%s; %s of them without an attempt left)', by_operation, items.given_up) end
        || case when items.stuck > 0 then pg_catalog.format(', %s stuck in processing for over an hour', items.stuck) else '' end
        || coalesce('; requests: ' || requests, '');
end;
$function$;

comment on function bubble_sync.alert_report(integer, boolean, boolean) is 'bubble-sync: counts of some days in one line';
