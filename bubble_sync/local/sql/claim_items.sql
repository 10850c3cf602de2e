-- Take the oldest pending items, or the oldest failed ones that are due and have an attempt left. A concurrent call takes
-- others.
with taken as materialized (
    select id
    from public.sync_queue
    where status = %(status)s
        and (
            status = 'pending'
            or (retry_count < max_retries and (next_retry_at is null or next_retry_at <= now()))
        )
    order by created_at, id
    limit %(most)s
    for update skip locked
)
update public.sync_queue as item
set status = 'processing'
from taken
where item.id = taken.id
returning item.id::text as id, item.record_id, item.operation;
