-- title: Requests in a row with failed items
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- The endpoint answers 200 and says that some of its items have failed: pg_cron and pg_net are green all the same.
-- Three answers in a row are reported; a single one is an item that is tried again.
with settled as (
    select *, pg_catalog.row_number() over (partition by function order by age) as nth
    from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
        as request (function text, sent_at timestamptz, settled boolean, verdict text, processed bigint, failed bigint,
            age bigint)
    where settled
)
select
    'warning' as level,
    'requests of ' || function as object,
    pg_catalog.format('its newest 3 requests had failed items: %%s failed, %%s processed; the last was sent at %%s',
        sum(failed), sum(processed), pg_catalog.to_char(max(sent_at), %(timestamp)s))
        as evidence,
    'Run bubble-sync failures: it groups them by error. The function''s log: ' || %(function_log)s::text as remedy
from settled
where nth <= 3
group by function
having count(*) = 3 and pg_catalog.bool_and(verdict = 'partial');
