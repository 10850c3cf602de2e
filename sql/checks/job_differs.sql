-- title: Job that is not as configured
-- needs: cron.job bubble_sync.ledger:own
-- The schedule, command or database was changed by hand, or the job comes from the guide, whose command names no schema: with
-- another search_path of the role, the run fails or calls another function of that name. `bubble-sync drift` reports since
-- when, and how to accept the change.
select
    'error' as level,
    change.object as object,
    pg_catalog.format('its %%s is %%L, not %%L', change.field, change.actual, change.wanted) || case
        when change.field = 'command' and change.actual ~* '(^|[^.\w])invoke_bubble_sync_(processor|retry)\s*\('
            then ': it names no schema, so that the search_path of the job''s role decides which function runs, or none'
        else ''
    end as evidence,
    'Run pulumi up, or keep it: bubble-sync drift says how.' as remedy
from pg_catalog.jsonb_to_recordset(%(job_changes)s::jsonb)
    as change (object text, field text, actual text, wanted text)
where change.field in ('schedule', 'command', 'database');
