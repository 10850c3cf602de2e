-- title: Job that sleeps on purpose
-- needs: cron.job bubble_sync.ledger:own
-- The configuration pauses the job, with a reason and perhaps an end. Before the end this is information; after it,
-- the job must be resumed by hand. Items wait meanwhile.
select
    case when j.active then 'error' when pause.overdue then 'warning' else 'info' end as level,
    'job ' || pause.name as object,
    case when j.active then 'it runs, and the configuration has it paused' else 'it is paused' end
    || coalesce(' until ' || pg_catalog.to_char(pause.until, %(timestamp)s), '')
    || pg_catalog.format(' (%%s)', coalesce(nullif(pause.reason, ''), 'no reason given'))
    || case when pause.overdue then ', and that is past' else '' end as evidence,
    case
        when j.active then 'Run pulumi up: it pauses the job. To keep the job running: '
        when pause.overdue then ''
        else 'Nothing, while the reason holds. To wake it: '
    end || 'bubble-sync resume --job ' || pause.key as remedy
from pg_catalog.jsonb_to_recordset(%(pauses)s::jsonb)
    as pause (name text, key text, reason text, until timestamptz, overdue boolean)
join cron.job as j on j.jobname = pause.name and j.username = current_user;
