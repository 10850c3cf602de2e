-- title: Job that is there twice
-- needs: cron.job:all bubble_sync.ledger:own
-- A job belongs to its name and its role: another role's job of our name is a second job, and so is one of another name
-- that calls our function. Both run, and items are sent twice.
select
    'error' as level,
    'job ' || j.jobname as object,
    pg_catalog.format('jobid %%s of the role %%I does what %%s does', j.jobid, j.username, j.jobname) as evidence,
    pg_catalog.format('As the role %%I: select cron.unschedule(%%s);', j.username, j.jobid) as remedy
from cron.job as j
join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as ours (name text) on j.jobname = ours.name
where j.active and j.username <> current_user
union all
select 'error', other.object, 'it runs ' || other.calls || ', as our own job does', other.remedy
from pg_catalog.jsonb_to_recordset(%(reaching)s::jsonb)
    as other (level text, object text, remedy text, calls text)
where other.calls <> '' and other.level = 'warning';
