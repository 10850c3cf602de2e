-- title: Queue without an index that the functions can use
-- needs: public.sync_queue
-- The functions count items each minute, and each five. Where the planner can use no index for that, each run reads the whole
-- table. An index on `retry_count < 3` is of no use to a condition that compares max_retries. Small tables are left alone.
select
    'warning' as level,
    'table public.sync_queue' as object,
    case counting.name
        when 'processor' then 'no index serves what the processor counts, pending items'
        else 'no index serves what the retry counts, failed items with attempts left'
    end || ': each run reads the whole table' as evidence,
    case counting.name
        when 'processor' then 'create index concurrently sync_queue_pending on public.sync_queue (created_at) '
            || 'where status = ''pending'';'
        else 'create index concurrently sync_queue_failed on public.sync_queue (next_retry_at) where status = ''failed'';'
    end as remedy
from pg_catalog.jsonb_array_elements_text(%(unindexed)s::jsonb) as counting (name)
where pg_catalog.pg_table_size('public.sync_queue') > 8 * 1024 * 1024;
