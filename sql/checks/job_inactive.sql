-- title: Job that is switched off
-- needs: cron.job bubble_sync.ledger:own
-- An inactive job keeps its schedule and never runs. It was switched off by hand, but the configuration has it active. A
-- pause in the configuration is not reported here.
select
    'error' as level,
    'job ' || j.jobname as object,
    pg_catalog.format('it is not active (jobid %%s)', j.jobid) as evidence,
    'Run pulumi up: it switches the job on again.' as remedy
from cron.job as j
join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as wanted (name text, active boolean) on wanted.name = j.jobname
where not j.active and wanted.active and j.username = current_user;
