-- title: Request that the body of its answer refuses
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- The status is 2xx and the body says no: `"success": false`, an `error`, a list of `errors`. Nothing was done, and pg_cron
-- and pg_net are green all the same. What it says is known for as long as pg_net keeps the answer, some hours.
select
    'error' as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP %%s to %%s of its newest %%s requests with a no in the body, the last of them sent at %%s: %%s',
        max(status_code) filter (where age = 1), count(*) filter (where verdict = 'refused by its body'), count(*),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s),
        coalesce(nullif(max(quote) filter (where age = 1), ''), 'the body is not on record any more')) as evidence,
    'Mend what the function says, and let it answer a failure with a status of 500. Its log: ' || %(function_log)s::text
        as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, verdict text, quote text, age bigint)
group by function
having pg_catalog.bool_or(verdict = 'refused by its body') filter (where age = 1);
