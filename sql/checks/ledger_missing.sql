-- title: Ledger that is not there, or not whole
-- needs: bubble_sync.ledger:own
-- The private schema bubble_sync holds the ledger of what the stack made and adopted, the log of its requests, and functions
-- of ours. Without it `pulumi up` has never run for this database, or somebody has dropped it.
select
    'error' as level,
    'ledger' as object,
    case change.field
        when 'presence' then 'there is no table bubble_sync.ledger'
        else pg_catalog.format('wanted is %%s, there is %%s', change.wanted, coalesce(nullif(change.actual, ''), 'none'))
    end as evidence,
    coalesce(nullif(change.refused, ''), 'Run pulumi up.') as remedy
from pg_catalog.jsonb_to_recordset(%(ledger_changes)s::jsonb)
    as change (field text, actual text, wanted text, refused text)
where change.field in ('presence', 'tables');
