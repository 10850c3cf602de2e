-- title: Ledger that is not there, or not whole
-- needs: bubble_sync.ledger:own
-- The private schema bubble_sync contains the ledger of made and adopted objects, the log of requests, and private
-- functions. Without the schema, `pulumi up` has never run for this database, or the schema was dropped.
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
