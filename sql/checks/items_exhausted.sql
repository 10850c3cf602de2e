-- title: Items with no attempt left
-- needs: public.sync_queue
-- Failed items with retry_count at max_retries: no job takes them again. A function that sets failed items back to pending
-- until the last attempt leaves all its failures here. After a repair, the items can get new attempts.
select
    'error' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s failed for good (%%s)', sum(dead),
        pg_catalog.string_agg(pg_catalog.format('%%s %%s', dead, operation), ', ' order by operation)) as evidence,
    'Read why: bubble-sync failures. Mend that, then: bubble-sync requeue --dead' as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (operation text, dead bigint)
where dead > 0
having count(*) > 0;
