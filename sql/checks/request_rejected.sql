-- title: Request that is rejected for another reason
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- An HTTP status that is neither success nor one with a check of its own (401, 403, 404, 5xx). 400: the function does
-- not know the action or its payload; 402: the organisation is over its quota; 405: the function takes no POST; 429:
-- too many requests.
select
    'error' as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP %%s to its newest request, sent at %%s', max(status_code) filter (where age = 1),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s)) as evidence,
    case max(status_code) filter (where age = 1)
        when 400 then 'Deploy a function that knows the actions process_queue_data_api and retry_failed. Its log: '
        when 402 then 'See the organisation''s billing page. The function''s log: '
        when 429 then 'Make fewer requests: a slower schedule, or bubble-sync:processor.overlapGuard. The log: '
        else 'Read what the function says: '
    end || %(function_log)s::text as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, verdict text, age bigint)
group by function
having pg_catalog.bool_or(verdict = 'rejected' and status_code < 500 and status_code not in (401, 403, 404))
    filter (where age = 1);
