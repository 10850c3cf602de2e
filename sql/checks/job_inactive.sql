-- title: Job that is switched off
-- needs: cron.job bubble_sync.ledger:own
-- A job that is not active keeps its schedule and never runs. Where the stack's configuration wants it to run,
-- somebody has switched it off by hand. A pause that the configuration knows is told, and a warning once it should be over.
select
    case when wanted.active then 'error' when pause.overdue then 'warning' else 'info' end as level,
    'job ' || j.jobname as object,
    case
        when wanted.active then pg_catalog.format('it is not active (jobid %%s)', j.jobid)
        else 'it is ' || pause.said
    end as evidence,
    case
        when wanted.active then 'Run pulumi up: it switches the job on again.'
        else 'When it may run again: bubble-sync resume --job ' || pause.key
    end as remedy
from cron.job as j
join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as wanted (name text, active boolean) on wanted.name = j.jobname
left join pg_catalog.jsonb_to_recordset(%(pauses)s::jsonb) as pause (name text, key text, said text, overdue boolean)
    on pause.name = j.jobname
where not j.active and j.username = current_user;
