-- title: Run history that is not cleared
-- needs: cron.job cron.job_run_details
-- pg_cron keeps every run for ever, in a table without an index on time; projects have gone down over it. It is
-- reported when it reaches back more than 30 days or is estimated at more than 100,000 runs, and no active job clears
-- it; for a schedule in seconds at once. The dashboard's own clean-up, a job named delete-job-run-details, counts as one; the stack's own job
-- (`history.keepDays`) counts when it deletes the runs of every job, or when there are no other jobs.
with extent as (
    select
        (select start_time from cron.job_run_details order by runid limit 1) as since,
        greatest(0, (
            select c.reltuples from pg_catalog.pg_class as c where c.oid = 'cron.job_run_details'::regclass
        ))::bigint as runs,
        exists (
            select from cron.job where active and username = current_user and jobname = %(history_job)s
        ) as own_job,
        exists (
            select from cron.job as other
            where not exists (
                select from pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as own (name text) where own.name = other.jobname
            )
        ) as other_jobs,
        (
            select pg_catalog.string_agg(pg_catalog.format('; %%s adds %%s a day', job.name, (86400 / w.every)::integer), '')
            from pg_catalog.jsonb_to_recordset(%(times)s::jsonb) as w (name text, every numeric)
            join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as job (name text, active boolean) using (name)
            where w.every < 60 and job.active
        ) as in_seconds
)
select
    'warning' as level,
    'table cron.job_run_details' as object,
    pg_catalog.format('about %%s runs%%s, %%s, and %%s', extent.runs, ' since ' || extent.since::date || ' UTC',
        pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size('cron.job_run_details')),
        case when extent.own_job then %(history_job)s || ' deletes the runs of this stack''s jobs only'
            else 'no active job clears them' end) || coalesce(extent.in_seconds, '') as evidence,
    case
        when extent.own_job then 'pulumi config set --path bubble-sync:history.ofAllJobs true, then pulumi up'
        else pg_catalog.format('pulumi config set --path bubble-sync:history.keepDays %%s, %%sthen pulumi up',
            case when extent.in_seconds is null then 30 else 7 end,
            case when extent.other_jobs then 'the same with history.ofAllJobs true for the runs of other jobs, ' else '' end)
    end || '; or enable the clean-up under Integrations -> Cron in the dashboard.' as remedy
from extent
where (extent.runs > 100000 or extent.since < pg_catalog.now() - interval '30 days'
        or (extent.in_seconds is not null and not extent.own_job))
    and not (extent.own_job and (%(of_all_jobs)s or not extent.other_jobs))
    and not exists (
        select from cron.job
        where active
            and (jobname = %(vendor_history_job)s or command ~* '(delete\s+from|truncate)\M.*\mjob_run_details\M')
    );
