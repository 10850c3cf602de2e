-- title: Ledger of another stack or project
-- Another stack manages these objects: two stacks use this database, or the database is a copy of another project with its
-- ledger, secrets and jobs. `pulumi up` refuses until the operator decides.
select
    'error' as level,
    'ledger' as object,
    pg_catalog.format(
        'it names the %%s %%L, and this is %%L',
        case change.field when 'stack' then 'stack' else 'project' end, change.actual, change.wanted
    ) as evidence,
    'Look whether the stack''s database URL is the right one; where it is, accept it once: '
    || pg_catalog.format('update bubble_sync.ledger set %%1$I = %%2$L where %%1$I is distinct from %%2$L; and run pulumi up.',
        change.field, change.wanted) as remedy
from pg_catalog.jsonb_to_recordset(%(ledger_changes)s::jsonb) as change (field text, actual text, wanted text)
where change.field in ('stack', 'project_ref');
