-- title: Failed items that no retry can match
-- needs: public.sync_queue
-- The retry job takes failed items with retry_count < max_retries. With a null in either column, the item is neither taken
-- nor counted as out of attempts.
select
    'error' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s failed with no retry_count or no max_retries', sum(unlimited)) as evidence,
    'update public.sync_queue set retry_count = coalesce(retry_count, 0), max_retries = coalesce(max_retries, 3) '
    'where status = ''failed'' and (retry_count is null or max_retries is null);' as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (unlimited bigint)
where unlimited > 0
having count(*) > 0;
