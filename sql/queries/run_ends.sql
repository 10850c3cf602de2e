-- The results of our jobs' newest runs, for the checks.

-- name: of_jobs
-- `not_started` is what pg_cron says of a command that it never sent; of any other run it is null.
select j.jobname, r.jobid, r.runid, r.status, r.start_time, r.return_message,
    pg_catalog.lower(pg_catalog.substring(
        r.return_message,
        '(?i)(startup timeout|connection failed|could not (?:fork|start)|server restarted|job canceled)'
    )) as not_started
from (
    select jobid, runid, status, start_time, return_message from cron.job_run_details order by runid desc limit 1000
) as r
join cron.job as j on j.jobid = r.jobid and j.username = current_user
join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as wanted (name text) on wanted.name = j.jobname
where r.status in ('succeeded', 'failed');
