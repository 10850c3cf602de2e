-- title: Requests that succeed and process nothing
-- needs: bubble_sync.dispatches net._http_response public.sync_queue
-- only: dispatch_log
-- All steps are green, but the queue is not drained: three times in a row items waited, and the endpoint answered 2xx with
-- no processed items. If the Edge Function joins a table of its own, such as sync_config, items of tables without a row
-- there are counted by the job and never taken.
with settled as (
    select *, pg_catalog.row_number() over (partition by function order by age) as nth
    from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
        as request (function text, sent_at timestamptz, settled boolean, verdict text, processed bigint, age bigint)
    where settled and function = 'bubble_sync_processor'
), left_over as (
    select sum(count) as items
    from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (status text, drained boolean, count bigint)
    where status = 'pending' and drained
)
select
    'error' as level,
    'requests of bubble_sync_processor' as object,
    pg_catalog.format('its newest 3 requests processed nothing, the last was sent at %%s; %%s items wait',
        pg_catalog.to_char(max(sent_at), %(timestamp)s), left_over.items) as evidence,
    'See what the function does with them: does it know their tables (a row in its sync_config), and does it read the '
    'same database? Its log: ' || %(function_log)s::text as remedy
from settled
cross join left_over
where nth <= 3 and left_over.items > 0
group by left_over.items
having count(*) = 3 and pg_catalog.bool_and(verdict = 'ok' and processed = 0);
