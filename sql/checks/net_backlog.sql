-- title: Requests that pile up at pg_net
-- needs: net.http_request_queue net._http_response
-- follows: net_worker_down
-- More requests wait than pg_net takes at a time. Its queue has no column of time; the newest answer tells whether it
-- is at work at all. Every user of pg_net in this database waits in the same queue, webhooks too, and a batch ends
-- with its slowest request.
with queue as (
    select count(*) as requests, min(id) as oldest from (select id from net.http_request_queue limit 100000) as waiting
), batch as (
    select coalesce((select setting from pg_catalog.pg_settings where name = 'pg_net.batch_size')::integer, 200) as size
), answer as (
    select max(created) as at from net._http_response
)
select
    case when answer.at > pg_catalog.now() - interval '2 minutes' then 'warning' else 'error' end as level,
    'table net.http_request_queue' as object,
    pg_catalog.format('%%s requests wait (a batch is %%s), the oldest has the id %%s; the newest answer came %%s',
        queue.requests, batch.size, queue.oldest,
        coalesce('at ' || pg_catalog.to_char(answer.at, %(timestamp)s), 'never'))
        as evidence,
    case
        when answer.at > pg_catalog.now() - interval '2 minutes' then 'It is at work and behind: see who sends so much, '
            'select url, count(*) from net.http_request_queue group by 1 order by 2 desc;'
        else 'It does not send: select net.check_worker_is_up(); and then select net.worker_restart();'
    end as remedy
from queue
cross join batch
cross join answer
where queue.requests > batch.size;
