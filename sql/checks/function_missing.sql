-- title: Function that is not there
-- follows: ledger_missing
-- A job whose function is gone fails at each run with "function ... does not exist"; without a private one, the two public
-- functions fail or lose their log.
select
    'error' as level,
    change.object as object,
    'there is no such function' as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(function_changes)s::jsonb) as change (object text, field text)
where change.field = 'presence';
