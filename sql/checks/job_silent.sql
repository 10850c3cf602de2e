-- title: Job that is due and does not run
-- needs: cron.job cron.job_run_details bubble_sync.ledger
-- follows: job_missing job_inactive runid_behind
-- follows: cron_scheduler_down job_owner_dropped extension_missing job_differs cron_jobs_held
-- The job is active, and one due time, the last but one, passed without a run. Either pg_cron's scheduler is down, or the
-- last run has not ended: pg_cron runs a job once at a time. A due time counts after the server's start, the oldest recorded
-- run, and the job's creation, resumption or change. Nothing is reported without a history (`cron.log_run` off, or cleared),
-- or after a change of the schedule by hand.
with newest as materialized (
    select jobid, runid, job_pid, status, start_time, end_time
    from cron.job_run_details
    order by runid desc
    limit 10000
), last as (
    select distinct on (jobid) * from newest order by jobid, runid desc
)
select
    'error' as level,
    'job ' || silent.jobname as object,
    case
        when last.runid is null then pg_catalog.format('no run is on record (schedule %%s)', silent.schedule)
        else pg_catalog.format('its newest run (runid %%s) %%s at %%s (schedule %%s)', last.runid,
            case when last.end_time is null then 'is ' || last.status || ' since then: it began' else 'began' end,
            pg_catalog.to_char(last.start_time, %(timestamp)s), silent.schedule)
    end as evidence,
    case
        when last.end_time is null and last.status in ('sending', 'running')
            and exists (select from pg_catalog.pg_stat_activity as a where a.pid = last.job_pid)
            then pg_catalog.format('select pg_catalog.pg_cancel_backend(%%s);', last.job_pid)
        else 'Restart the database: Settings -> General -> Fast database reboot. Its scheduler is back with it.'
    end as remedy
from pg_catalog.jsonb_to_recordset(%(silent)s::jsonb) as silent (jobid bigint, jobname text, schedule text)
join cron.job as j on j.jobid = silent.jobid and j.username = current_user
left join last on last.jobid = silent.jobid;
