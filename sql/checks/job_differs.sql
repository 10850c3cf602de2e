-- title: Job that is not as configured
-- needs: cron.job bubble_sync.ledger:own
-- Somebody has changed its schedule, its command or its database by hand. `bubble-sync drift` says since when, and how to
-- make the configuration want what is there.
select
    'error' as level,
    change.object as object,
    pg_catalog.format('its %%s is %%L, not %%L', change.field, change.actual, change.wanted) as evidence,
    'Run pulumi up, or keep it: bubble-sync drift says how.' as remedy
from pg_catalog.jsonb_to_recordset(%(job_changes)s::jsonb)
    as change (object text, field text, actual text, wanted text)
where change.field in ('schedule', 'command', 'database');
