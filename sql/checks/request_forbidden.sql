-- title: Request that is forbidden (403)
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- Who answers knows the key and does not let it in: a key without the rights of the service role, network
-- restrictions, or a check of the Edge Function's own.
select
    max(level) filter (where age = 1) as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP 403 to %%s of its newest %%s requests, the last of them sent at %%s',
        count(*) filter (where status_code = 403), count(*),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s) || max(before) filter (where age = 1))
        as evidence,
    'Ask with the stored key: bubble-sync key probe. Set a secret key or the service_role key: bubble-sync key rotate. '
    'Where the function itself refuses, its log says why: ' || %(function_log)s::text as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, age bigint, level text, before text)
group by function
having pg_catalog.bool_or(status_code = 403) filter (where age = 1);
