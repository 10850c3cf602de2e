-- title: Function of another role
-- needs: bubble_sync.ledger:own
-- Only its owner can replace a function, and the functions may be executed by their owner alone: the job, which runs as the
-- stack's role, fails with "permission denied", and `pulumi up` refuses.
select
    'error' as level,
    change.object as object,
    pg_catalog.format('its owner is %%I, not %%I', change.actual, current_user) as evidence,
    pg_catalog.format('As %%I: alter %%s(%%s) owner to %%I;', change.actual, change.object, change.arguments, current_user)
    as remedy
from pg_catalog.jsonb_to_recordset(%(function_changes)s::jsonb)
    as change (object text, arguments text, field text, actual text)
where change.field = 'owner';
