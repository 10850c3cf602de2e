-- title: Requests whose answers say nothing
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- The status is 2xx, and the body is empty or has neither success nor counts; and no item was processed in the five minutes
-- after the request, of which two must have passed. An answer after which one was processed is good, whatever it says.
with silent as (
    select *, pg_catalog.bool_and(verdict = 'answered') over (partition by function order by age) as in_a_row
    from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
        as request (function text, sent_at timestamptz, status_code integer, verdict text, quote text, age bigint)
)
select
    case when count(*) >= 3 then 'error' else 'warning' end as level,
    'requests of ' || function as object,
    pg_catalog.format('%%s in a row were answered with HTTP %%s without success or counts, and no item was processed; '
        'the last was sent at %%s: %%s', count(*), max(status_code) filter (where age = 1),
        pg_catalog.to_char(max(sent_at), %(timestamp)s),
        coalesce(nullif(max(quote) filter (where age = 1), ''), 'nothing')) as evidence,
    'See what the function does with the items, and let it answer {"success": true} or with counts (docs/reference/dispatches.md). '
    'Its log: ' || %(function_log)s::text as remedy
from silent
where in_a_row
group by function
having min(sent_at) < pg_catalog.now() - interval '2 minutes';
