-- title: Run that pg_cron could not start
-- needs: cron.job cron.job_run_details
-- follows: job_missing
-- pg_cron was at work, and the command was never sent: no connection, no worker process, no answer within ten seconds,
-- or a restart in between. Reads the newest twenty runs of each job. An error if the newest run failed, a warning if
-- runs fail now and again, information if later runs succeeded.
with newest as (
    select r.jobname, r.runid, r.status, r.start_time, r.not_started as class,
        pg_catalog.row_number() over (partition by r.jobid order by r.runid desc) as age,
        pg_catalog.lag(r.status, 1, 'succeeded') over (partition by r.jobid order by r.runid) as before
    from (
        -- include: runs ends
    ) as r
)
select
    case when min(age) = 1 then 'error' when count(*) filter (where before = 'succeeded') > 1 then 'warning'
        else 'info' end
        as level,
    'job ' || jobname as object,
    pg_catalog.format('%%s: %%s of its newest runs, at last at %%s (runid %%s)', class, count(*),
        pg_catalog.to_char(max(start_time), %(timestamp)s), max(runid)) as evidence,
    case class
        when 'server restarted' then
            'Nothing is to be done for these runs; look at the database''s log if you did not restart it.'
        when 'job canceled' then 'The job was unscheduled while it ran. Run pulumi up if that was a mistake.'
        when 'connection failed' then
            'Free connections: select usename, state, count(*) from pg_stat_activity group by 1, 2; '
            'and look whether the job''s role may still log in.'
        else
            'Too much begins at once: spread the jobs over other minutes (no more than 8 at a time, Supabase advises), or '
            'take a larger compute size.'
    end as remedy
from newest
where age <= 20 and status = 'failed' and class is not null
group by jobname, class;
