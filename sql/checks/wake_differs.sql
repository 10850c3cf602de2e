-- title: Trigger that is not as configured
-- The trigger of `processor.wake` fires at another event or runs another function, or its function's sequences are gone.
-- `bubble-sync diff` shows both.
select
    'error' as level,
    change.object as object,
    pg_catalog.format('its %%s is %%s, not %%s', change.field, change.actual, change.wanted) as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(trigger_changes)s::jsonb)
    as change (object text, field text, actual text, wanted text)
where change.field in ('definition', 'sequences');
