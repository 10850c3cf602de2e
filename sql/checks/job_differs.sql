-- title: Job that is not as configured
-- needs: cron.job bubble_sync.ledger:own
-- Somebody has changed its schedule, its command or its database by hand, or made it from the guide, whose command names no
-- schema: a search_path of the role that hides `public` makes each run fail, and one with another function of that name
-- earlier in it runs that one. `bubble-sync drift` says since when, and how to make the configuration want what is there.
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
