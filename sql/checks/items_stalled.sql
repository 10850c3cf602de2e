-- title: Items stuck in processing
-- needs: public.sync_queue
-- An item that a function took and never gave back: it was ended in the middle, or an error left it so. Neither job
-- looks at it again. The queue does not say when an item was taken: one in processing that was queued ten minutes ago
-- counts.
select
    'error' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s in processing since before ten minutes ago, the oldest queued at %%s UTC', sum(stalled),
        pg_catalog.to_char(min(oldest_item) at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')) as evidence,
    'bubble-sync release-stalled' as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (stalled bigint, oldest_item timestamptz)
where stalled > 0
having count(*) > 0;
