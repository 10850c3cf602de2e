-- The plans of our functions' counts: the same conditions as in sql/functions.

-- name: rather_any_index
-- What still reads the whole table then has no index to use.
set local enable_seqscan = off;

-- name: processor
explain (format json)
select pg_catalog.count(*)
from public.sync_queue as item
where item.status = 'pending'
    and item.operation in
        -- include: items operations
    ;

-- name: retry
explain (format json)
select pg_catalog.count(*)
from public.sync_queue as item
where item.status = 'failed'
    and item.retry_count < item.max_retries
    and (item.next_retry_at is null or item.next_retry_at <= pg_catalog.now());
