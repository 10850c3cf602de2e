-- title: Pending items whose back-off is skipped
-- needs: public.sync_queue
-- A function sets a failed item back to pending with a next_retry_at. The processor counts all pending items, as in the
-- guide, so the endpoint is called for them every minute. Nothing is lost, but an endpoint that is down gets more requests
-- than intended.
select
    'info' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s pending with a next_retry_at in the future, the latest at %%s', sum(early),
        pg_catalog.to_char(max(early_until), %(timestamp)s)) as evidence,
    'Let the function leave a failed item in failed: then the retry job honours next_retry_at.' as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (early bigint, early_until timestamptz)
where early > 0
having count(*) > 0;
