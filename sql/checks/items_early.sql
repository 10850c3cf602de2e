-- title: Pending items whose back-off is skipped
-- needs: public.sync_queue
-- A function that puts a failed item back to pending with a next_retry_at means it to wait until then. The processor
-- counts pending items whatever next_retry_at says, as the guide has it: the endpoint is called for them every minute.
-- Nothing is lost by it; an endpoint that is down is asked more often than was meant.
select
    'info' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s pending with a next_retry_at in the future, the latest at %%s UTC', sum(early),
        pg_catalog.to_char(max(early_until) at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')) as evidence,
    'Let the function leave a failed item in failed: then the retry job honours next_retry_at.' as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb) as item (early bigint, early_until timestamptz)
where early > 0
having count(*) > 0;
