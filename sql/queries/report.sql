-- A period in bins, aggregated by the server, so that the result has one row per bin.

-- name: depth
-- Items that were not completed, from when each was queued and completed: how many there were before the span, and in each
-- part how many came, went, and were there at once at most. One without a moment has no place in time. `failed` counts those
-- that stand at failed now, by when they were queued.
with item as (
    select created_at,
        case when status::text in ('completed', 'skipped') then greatest(processed_at, created_at) end as completed_at,
        (status::text = 'failed')::integer as failed
    from public.sync_queue
    where created_at is not null and (status::text not in ('completed', 'skipped') or processed_at is not null)
), event as (
    select %(since)s::timestamptz as at, 'before' as kind, count(*) as change, sum(failed) as failed
    from item
    where created_at <= %(since)s and (completed_at is null or completed_at > %(since)s)
    union all
    select created_at, 'came', 1, failed from item where created_at > %(since)s and created_at <= %(until)s union all
    select completed_at, 'gone', -1, 0 from item where completed_at > %(since)s and completed_at <= %(until)s
), moment as (
    select at, kind, change, failed, sum(change) over (order by at, kind rows unbounded preceding) as there from event
)
select
    least(
        pg_catalog.floor(extract(epoch from at - %(since)s) / %(part_seconds)s::float8)::integer, %(parts)s::integer - 1
    ) as part,
    coalesce(sum(change) filter (where kind = 'before'), 0)::bigint as before,
    count(*) filter (where kind = 'came') as came,
    count(*) filter (where kind = 'gone') as went,
    max(there)::bigint as most,
    coalesce(sum(failed), 0)::bigint as failed
from moment
group by part
order by part;

-- name: unplaced
select count(*) as items
from public.sync_queue
where created_at is null or (status::text in ('completed', 'skipped') and processed_at is null);

-- name: last_completed
select max(processed_at) as at from public.sync_queue where status::text = 'completed' and pg_catalog.isfinite(processed_at);

-- name: answers
-- Of the newest of our log: when the last one with a good answer was sent, and the first one with a bad answer after all that
-- were accepted. One that was answered without a result was accepted, and proves nothing good.
with newest as (
    select dispatch_id, sent_at, verdict from bubble_sync.dispatches order by dispatch_id desc limit %(most)s
), last as (
    select max(dispatch_id) filter (where verdict = any(%(good)s)) as good,
        max(dispatch_id) filter (where verdict = any(%(accepted)s)) as accepted
    from newest
)
select
    max(newest.sent_at) filter (where newest.dispatch_id = last.good) as good_at,
    min(newest.sent_at) filter (
        where newest.verdict = any(%(bad)s) and newest.dispatch_id > coalesce(last.accepted, 0)) as bad_since
from newest
cross join last;

-- name: dispatches
-- The newest of our log, whose key is in their order; it has no index on a moment.
select
    least(
        pg_catalog.floor(extract(epoch from sent_at - %(since)s) / %(part_seconds)s::float8)::integer, %(parts)s::integer - 1
    ) as part,
    function, verdict, count(*) as requests
from (
    select sent_at, function, verdict from bubble_sync.dispatches order by dispatch_id desc limit %(most)s
) as newest
where sent_at > %(since)s and sent_at <= %(until)s
group by part, function, verdict
order by part, function, verdict;

-- name: dispatches_since
-- When the oldest of those was sent, if there are more.
select case when count(*) = %(most)s then min(sent_at) end as since
from (select sent_at from bubble_sync.dispatches order by dispatch_id desc limit %(most)s) as newest;

-- name: latency
-- From sign-up to completed, of those completed in the span: by bin, and (no bin) of all of them.
select
    bin, count(*) as items, max(seconds) as longest,
    pg_catalog.percentile_cont(0.5) within group (order by seconds) as median,
    pg_catalog.percentile_cont(0.95) within group (order by seconds) as p95
from (
    select seconds, pg_catalog.width_bucket(seconds, %(edges)s::float8[]) as bin
    from (
        select extract(epoch from processed_at - created_at)::float8 as seconds
        from public.sync_queue
        where operation::text = 'SIGNUP_ATOMIC' and status = 'completed'
            and processed_at > %(since)s and processed_at <= %(until)s and processed_at >= created_at
            and pg_catalog.isfinite(created_at)
    ) as took
) as placed
group by grouping sets ((bin), ())
order by bin;

-- name: overdue
-- Sign-ups that are not completed, and older than the limit.
select count(*) as items
from public.sync_queue
where operation::text = 'SIGNUP_ATOMIC' and status::text not in ('completed', 'skipped')
    and created_at <= %(until)s - pg_catalog.make_interval(secs => %(limit)s);
