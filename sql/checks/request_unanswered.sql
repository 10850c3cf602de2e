-- title: Request without an answer for too long
-- needs: bubble_sync.dispatches net.http_request_queue
-- only: dispatch_log
-- follows: job_missing job_inactive job_silent
-- follows: net_worker_down cron_scheduler_down
-- A request is answered or times out within timeoutMs, and the next tick of either job records the result. A request
-- without a result two minutes later was not sent by pg_net, or no tick has read its answer. While both jobs are paused no
-- tick runs, and only the first case is reported.
with outstanding as (
    select function, request_id, sent_at
    from bubble_sync.dispatches
    where settled_at is null
        and sent_at < pg_catalog.now() - %(timeout_ms)s::integer * interval '1 millisecond' - interval '2 minutes'
    order by dispatch_id
    limit 1000
)
select
    'error' as level,
    'requests of ' || o.function as object,
    pg_catalog.format(
        '%%s without an answer, the oldest sent at %%s; %%s of them still in pg_net''s queue', count(*),
        pg_catalog.to_char(min(o.sent_at), %(timestamp)s), count(q.id)) as evidence,
    case
        when count(q.id) > 0 then 'pg_net does not send: select net.check_worker_is_up(); and then '
            'select net.worker_restart();'
        else
            'The answer was not read: run the job''s command in the SQL editor, select invoke_bubble_sync_processor();'
    end as remedy
from outstanding as o
left join net.http_request_queue as q on q.id = o.request_id
where q.id is not null
    or exists (select from pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as job (active boolean) where active)
group by o.function;
