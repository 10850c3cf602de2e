-- title: Items stuck in processing
-- needs: public.sync_queue
-- A function took the item and never finished: the function was ended, or failed. Neither job takes such items again. A
-- claim (docs/guides/claim.md) records the end of its lease. Without a claim, the queue does not record when an item was
-- taken, so items count when queued at least ten minutes ago.
select
    'error' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s in processing since before ten minutes ago, or after their lease; the oldest queued at %%s', sum(stalled),
        pg_catalog.to_char(min(oldest_item), %(timestamp)s)) as evidence,
    'bubble-sync release-stalled' as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (stalled bigint, oldest_item timestamptz)
where stalled > 0
having count(*) > 0;
