-- title: Function with a second form
-- Another function of the same name can be called without arguments too: the job's bare call is ambiguous, and each of its
-- runs fails with "function ... is not unique". `pulumi up` refuses.
select
    'error' as level,
    change.object as object,
    pg_catalog.format('there is a second form, (%%s)', change.actual) as evidence,
    pg_catalog.format('drop %%s(%%s);', change.object, change.actual) as remedy
from pg_catalog.jsonb_to_recordset(%(function_changes)s::jsonb) as change (object text, field text, actual text)
where change.field = 'overloads';
