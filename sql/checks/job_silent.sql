-- title: Job that is due and does not run
-- needs: cron.job cron.job_run_details
-- follows: job_missing job_inactive runid_behind
-- follows: cron_scheduler_down job_owner_dropped extension_missing job_differs cron_jobs_held
-- The job is there and active, and the moment at which it was due last but one went by without a run. Either pg_cron's
-- scheduler is not at work, or the last run has not ended: pg_cron begins no second run of a job while one is under
-- way. Where the history is switched off (`cron.log_run`), and where the job's schedule was changed by hand, nothing
-- is said.
with newest as materialized (
    select jobid, runid, job_pid, status, start_time, end_time
    from cron.job_run_details
    order by runid desc
    limit 1000
), due as (
    select j.jobid, j.jobname, j.schedule, w.since, l.recorded_at
    from pg_catalog.jsonb_to_recordset(%(times)s::jsonb) as w (name text, schedule text, since timestamptz)
    join cron.job as j on j.jobname = w.name and j.schedule = w.schedule and j.active and j.username = current_user
    left join bubble_sync.ledger as l on l.object = 'job ' || j.jobname
), last as (
    select distinct on (jobid) * from newest order by jobid, runid desc
)
select
    'error' as level,
    'job ' || due.jobname as object,
    case
        when last.runid is null then pg_catalog.format('no run is on record (schedule %%s)', due.schedule)
        else pg_catalog.format('its newest run (runid %%s) %%s at %%s UTC (schedule %%s)', last.runid,
            case when last.end_time is null then 'is ' || last.status || ' since then: it began' else 'began' end,
            pg_catalog.to_char(last.start_time at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), due.schedule)
    end as evidence,
    case
        when last.end_time is null and last.status in ('sending', 'running')
            and exists (select from pg_catalog.pg_stat_activity as a where a.pid = last.job_pid)
            then pg_catalog.format('select pg_catalog.pg_cancel_backend(%%s);', last.job_pid)
        else 'Restart the database: Settings -> General -> Fast database reboot. Its scheduler is back with it.'
    end as remedy
from due
left join last on last.jobid = due.jobid
-- What was made, woken or changed since then has not been due.
where (due.recorded_at is null or due.recorded_at < due.since) and (
    last.start_time < due.since
    or (
        last.runid is null and due.recorded_at is not null
        and exists (select from pg_catalog.pg_settings where name = 'cron.log_run' and setting = 'on')
        and (select count(*) < 1000 or min(start_time) < due.since from newest)
    )
);
