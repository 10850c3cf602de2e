-- title: Trigger that is switched off
-- With `processor.wake`, a trigger on the queue sends the request. Switched off by hand, or set to fire for replicated rows
-- only, the trigger leaves every item to the job. A pause in the configuration is not reported here.
select
    'error' as level,
    change.object as object,
    pg_catalog.format('it is %%s, not %%s', change.actual, change.wanted) as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(trigger_changes)s::jsonb)
    as change (object text, field text, actual text, wanted text)
where change.field = 'enabled';
