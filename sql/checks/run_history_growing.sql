-- title: Run history that is not cleared
-- needs: cron.job cron.job_run_details
-- pg_cron keeps every run for ever, in a table without an index on time; projects have gone down over it. It is
-- reported when it reaches back more than 30 days or is estimated at more than 100,000 runs, and no active job clears
-- it. The dashboard's own clean-up, a job named delete-job-run-details, counts as one.
with extent as (
    select
        (select start_time from cron.job_run_details order by runid limit 1) as since,
        greatest(0, (
            select c.reltuples from pg_catalog.pg_class as c where c.oid = 'cron.job_run_details'::regclass
        ))::bigint as runs
)
select
    'warning' as level,
    'table cron.job_run_details' as object,
    pg_catalog.format('about %%s runs since %%s UTC, %%s, and no active job clears them', extent.runs,
        extent.since::date,
        pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size('cron.job_run_details'))) as evidence,
    'Enable the clean-up under Integrations -> Cron in the dashboard, or: '
    'select cron.schedule(''delete-job-run-details'', '
    '''0 12 * * *'', $$delete from cron.job_run_details where end_time < now() - interval ''7 days''$$);' as remedy
from extent
where (extent.runs > 100000 or extent.since < pg_catalog.now() - interval '30 days')
    and not exists (
        select from cron.job
        where active
            and (jobname = 'delete-job-run-details' or command ~* '(delete\s+from|truncate)\M.*\mjob_run_details\M')
    );
