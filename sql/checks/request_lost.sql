-- title: Request that was lost
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- follows: request_unanswered
-- follows: net_worker_down
-- The request was not answered, and is not in pg_net's queue: both tables of pg_net are unlogged, and empty after a crash, a
-- failover or a restore. The outcome is unknown; the next tick sends a new request.
select
    'warning' as level,
    'requests of ' || function as object,
    pg_catalog.format('lost to %%s of its newest %%s requests, the last of them sent at %%s',
        count(*) filter (where verdict = 'lost'), count(*),
        pg_catalog.to_char(max(sent_at) filter (where verdict = 'lost'), %(timestamp)s))
        as evidence,
    'Wait for the next tick, or bubble-sync run-now. If it is lost again, the worker does not send: '
    'select net.check_worker_is_up(); and, where it is up, select net.worker_restart();' as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, verdict text, age bigint)
group by function
having pg_catalog.bool_or(verdict = 'lost') filter (where age = 1);
