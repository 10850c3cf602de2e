-- title: Requests that overlap
-- needs: bubble_sync.dispatches
-- only: dispatch_log
-- The job calls again while the last call is at work: pg_cron's run ends when the request is queued, and says nothing
-- of the request. A function that does not claim its items atomically then takes the same ones twice. Read from the
-- newest twenty requests that each job has made within a day, where its overlap guard is off; durations are known to the
-- second. One overlap is none: it must come again. Requests made by hand are not the schedule's fault.
with following as (
    select d.function, d.dispatch_id, d.sent_at, d.duration_ms,
        pg_catalog.lead(d.sent_at) over (partition by d.function order by d.dispatch_id) as next_sent_at,
        pg_catalog.row_number() over (partition by d.function order by d.dispatch_id desc) as age
    from (select * from bubble_sync.dispatches order by dispatch_id desc limit 1000) as d
    where d.runid is not null and d.sent_at > pg_catalog.now() - interval '1 day'
)
select
    'warning' as level,
    'requests of ' || function as object,
    pg_catalog.format(
        '%%s of its newest %%s were at work when the next was sent, the longest for %%s s; the last of them was '
        'sent at %%s', count(*) filter (where overlapping), count(*),
        max(duration_ms) filter (where overlapping) / 1000,
        pg_catalog.to_char(max(sent_at) filter (where overlapping), %(timestamp)s))
        as evidence,
    pg_catalog.format(
        'pulumi config set --path bubble-sync:%%s.overlapGuard true, then pulumi up; or a slower schedule.',
        pg_catalog.replace(function, 'bubble_sync_', '')) as remedy
from (
    select *, next_sent_at < sent_at + (duration_ms - 1000) * interval '1 millisecond' as overlapping
    from following
    where age <= 20 and not function = any (%(guarded)s::text[])
) as newest
group by function
having count(*) filter (where overlapping) > 1;
