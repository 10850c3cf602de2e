-- title: Edge Function that fails (5xx)
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- For pg_net, an answer with any status is a success. 500 and 502: the function raised an error; 503: the function does not
-- start; 504: no answer to the gateway within 150 s; 546: the function reached its limit of time or memory.
select
    'error' as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP %%s to %%s of its newest %%s requests, the last of them sent at %%s',
        max(status_code) filter (where age = 1), count(*) filter (where status_code >= 500), count(*),
        pg_catalog.to_char(max(sent_at) filter (where status_code >= 500), %(timestamp)s))
        as evidence,
    case max(status_code) filter (where age = 1)
        when 503 then 'The function does not start: mend it, then supabase functions deploy bubble_sync. Its log: '
        when 504 then 'Let a call do less: a smaller bubble-sync:processor.batchSize, then pulumi up. The log: '
        when 546 then 'Let a call do less: a smaller bubble-sync:processor.batchSize, then pulumi up. The log: '
        when 540 then 'The project is paused: resume it in the dashboard. The log: '
        else 'Read what the function says, mend it, then supabase functions deploy bubble_sync. Its log: '
    end || %(function_log)s::text as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, age bigint)
group by function
having pg_catalog.bool_or(status_code >= 500) filter (where age = 1);
