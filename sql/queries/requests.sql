-- Requests of our functions, from our log, and pg_net's answers.

-- name: newest
-- The newest request of each function.
select distinct on (function) *
from (select * from bubble_sync.dispatches order by dispatch_id desc limit 1000) as newest
order by function, dispatch_id desc;

-- name: verdicts
-- Of the last hour, as far as the newest reach.
select function, coalesce(verdict, 'outstanding') as verdict, count(*) as count
from (select function, verdict, sent_at from bubble_sync.dispatches order by dispatch_id desc limit 10000) as newest
where sent_at > pg_catalog.now() - interval '1 hour'
group by function, coalesce(verdict, 'outstanding')
order by function, verdict;

-- name: recent
-- The newest of all, answered or not.
select * from bubble_sync.dispatches order by dispatch_id desc limit 10;

-- name: of_runs
-- Narrowed by time, which has an index.
select *
from bubble_sync.dispatches
where runid = any (%(runids)s::bigint[]) and sent_at >= %(since)s - interval '1 minute';

-- name: around
-- The first request after a moment, and the last one before another: when there is one alone, it is both.
(
    select 'first' as which, first.*
    from bubble_sync.dispatches as first
    where sent_at >= %(since)s and sent_at <= %(until)s
    order by sent_at
    limit 1
) union all (
    select 'last', last.*
    from bubble_sync.dispatches as last
    where sent_at >= %(since)s and sent_at <= %(until)s
    order by sent_at desc
    limit 1
);

-- name: response
-- The newest response to anybody's request: pg_net does not say whose it was, and forgets after some hours.
select id as request_id, status_code, coalesce(timed_out, false) as timed_out, error_msg is not null as failed, created, good
from (
    -- include: outcomes at_a_glance
) as response
order by created desc
limit 1;

-- name: moved
-- The requests after which an item was processed within five minutes: what a silent answer leaves open.
select distinct asked.request_id
from rows from (
    pg_catalog.unnest(%(ids)s::bigint[]), pg_catalog.unnest(%(moments)s::timestamptz[])
) as asked (request_id, sent_at)
join public.sync_queue as item
    on item.processed_at >= asked.sent_at and item.processed_at < asked.sent_at + interval '5 minutes';

-- name: queued
select id as request_id from net.http_request_queue where id = %(id)s;
