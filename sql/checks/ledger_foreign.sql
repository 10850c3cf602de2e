-- title: Ledger of another stack or project
-- Somebody else keeps these objects: a second stack is set to this database, or this database is a copy of another
-- project's and still has its ledger, its secrets and its jobs. `pulumi up` refuses until somebody has decided.
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
