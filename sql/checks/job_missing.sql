-- title: Job that is not there
-- needs: cron.job bubble_sync.ledger:own
-- follows: job_duplicated ledger_missing
-- Without its job nothing calls the function: items wait for ever, or failed ones are never asked for again. `pulumi up`
-- makes the job. Jobs belong to a role, and another role's job of the same name is no substitute.
select
    'error' as level,
    'job ' || wanted.name as object,
    'there is no such job of ' || current_user as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as wanted (name text)
where not exists (
    select from cron.job as j
    where j.jobname = wanted.name and j.username = current_user
);
