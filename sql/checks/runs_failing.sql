-- title: Run whose SQL failed
-- needs: cron.job cron.job_run_details
-- follows: job_missing job_differs
-- follows: function_missing function_differs function_overloaded function_other_owner secret_unreadable
-- follows: secret_malformed privilege_missing queue_incomplete extension_missing
-- The job's command raised an error. Reads the newest twenty runs of each job, grouped by the meaning of the message. An
-- error if the newest run failed, a warning if runs fail now and again, information if later runs succeeded.
with newest as (
    select r.jobname, r.runid, r.status, r.start_time, pg_catalog.split_part(r.return_message, e'\n', 1) as said,
        pg_catalog.row_number() over (partition by r.jobid order by r.runid desc) as age,
        pg_catalog.lag(r.status, 1, 'succeeded') over (partition by r.jobid order by r.runid) as before
    from (
        -- include: runs ends
    ) as r
    where r.not_started is null
), classed as (
    select *, case
        when said ~* 'permission denied|row-level security' then 'permission denied'
        when said ~* 'Vault secrets cannot be read|malformed|Vault secrets not configured' then 'secrets'
        when said ~* 'pg_net refused|http_post' then 'pg_net refused the request'
        when said ~* 'does not exist|is not unique|could not find' then 'something is not there'
        when said ~* 'canceling statement|lock timeout|deadlock' then 'cancelled'
        else 'another error'
    end as class
    from newest
    where age <= 20 and status = 'failed'
)
select
    case when min(age) = 1 then 'error' when count(*) filter (where before = 'succeeded') > 1 then 'warning'
        else 'info' end
        as level,
    'job ' || jobname as object,
    pg_catalog.format('%%s: %%s of its newest runs, at last at %%s (runid %%s): %%s', class, count(*),
        pg_catalog.to_char(max(start_time), %(timestamp)s), max(runid),
        (pg_catalog.array_agg(said order by runid desc))[1]) as evidence,
    case class
        when 'permission denied' then 'Run pulumi up, which names the privilege that is missing.'
        when 'secrets' then 'Run pulumi up: it writes both secrets anew.'
        when 'pg_net refused the request' then 'Look at pg_net: select net.check_worker_is_up(); then bubble-sync diff.'
        when 'something is not there' then 'Run pulumi up: it makes what is missing, or says what it cannot make.'
        when 'cancelled' then
            'Look for what holds public.sync_queue: select * from pg_locks where not granted; and whether '
            'the queue lacks an index.'
        else
            'Run the job''s own command in the SQL editor and read what it says; see bubble-sync diff for a changed function.'
    end as remedy
from classed
group by jobname, class;
