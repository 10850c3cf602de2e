-- title: Trigger that is not there
-- follows: ledger_missing
-- With `processor.wake`, a trigger on the queue sends the request. Without the trigger, every item waits for the job. A queue that
-- was dropped and created again has lost its triggers.
select
    'error' as level,
    change.object as object,
    'there is no such trigger on public.sync_queue' as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(trigger_changes)s::jsonb) as change (object text, field text)
where change.field = 'presence';
