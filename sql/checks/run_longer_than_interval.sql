-- title: Run that takes longer than its interval
-- needs: cron.job cron.job_run_details
-- follows: queue_unindexed
-- A run is a count and a hand-over to pg_net: milliseconds. One that is still at work when the next is due waits for a
-- lock, or reads the whole of a large queue. pg_cron lets the next one wait, and ticks pile up.
with newest as (
    select j.jobname, r.runid, r.start_time, w.every, extract(epoch from r.end_time - r.start_time) as seconds,
        pg_catalog.row_number() over (partition by r.jobid order by r.runid desc) as age
    from (
        select jobid, runid, start_time, end_time from cron.job_run_details order by runid desc limit 1000
    ) as r
    join cron.job as j on j.jobid = r.jobid and j.username = current_user
    join pg_catalog.jsonb_to_recordset(%(times)s::jsonb) as w (name text, every numeric) on w.name = j.jobname
    where r.end_time is not null
)
select
    'warning' as level,
    'job ' || jobname as object,
    pg_catalog.format('%%s of its newest %%s runs took longer than %%s s, the longest %%s s', count(*) filter (
        where seconds > every), count(*), pg_catalog.round(every), pg_catalog.round(max(seconds))) as evidence,
    'Look what it waits for, while it runs: select pid, wait_event_type, query from pg_stat_activity where query ilike '
    '''%%invoke_bubble_sync%%''; and whether the queue lacks an index.' as remedy
from newest
where age <= 20
group by jobname, every
having pg_catalog.bool_or(seconds > every) filter (where age = 1);
