-- title: Job that is there twice
-- needs: cron.job:all bubble_sync.ledger:own
-- A job belongs to its name and its role: another role's job of our name is a second job, and so is one of another name
-- that calls our function. Both run, and items are sent twice.
with ours as (
    select o.name, '\m' || pg_catalog.substring(o.command, '(\w+)\(') || '\s*\(' as call
    from pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as o (name text, command text)
)
select
    'error' as level,
    'job ' || coalesce(j.jobname::text, '(jobid ' || j.jobid || ')') as object,
    pg_catalog.format('jobid %%s of the role %%I does what %%s does', j.jobid, j.username, ours.name) as evidence,
    pg_catalog.format('As the role %%I: select cron.unschedule(%%s);', j.username, j.jobid) as remedy
from cron.job as j
join ours on case
    when j.jobname in (select o.name from ours as o) then j.jobname = ours.name and j.username <> current_user
    else j.command ~* ours.call
end
where j.active;
