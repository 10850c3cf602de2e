-- title: Request that times out
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- There was no answer within timeoutMs, which does not mean failure. The Edge Function may have finished, and the next tick
-- calls it again. Items can be processed twice, or stay in processing.
select
    'warning' as level,
    'requests of ' || function as object,
    pg_catalog.format('no answer in time to %%s of its newest %%s requests, the last of them sent at %%s',
        count(*) filter (where verdict = 'timed out'), count(*),
        pg_catalog.to_char(max(sent_at) filter (where verdict = 'timed out'), %(timestamp)s))
        as evidence,
    case function
        when 'bubble_sync_processor' then pg_catalog.format(
            'Raise bubble-sync:processor.timeoutMs (it is %%s, at most 120000), or let a call do less: '
            'bubble-sync:processor.batchSize (it is %%s); then pulumi up.',
            %(timeout_ms)s::integer, %(batch_size)s::integer)
        else 'Raise bubble-sync:retry.timeoutMs (at most 120000), then pulumi up.'
    end || ' What the function does meanwhile: ' || %(function_log)s::text as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, verdict text, age bigint)
group by function
having pg_catalog.bool_or(verdict = 'timed out') filter (where age = 1);
