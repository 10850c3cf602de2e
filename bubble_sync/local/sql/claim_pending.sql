-- Take the oldest waiting items; a second call at the same time takes others.
with taken as materialized (
    select id
    from public.sync_queue
    where status = 'pending'
    order by created_at, id
    limit %(most)s
    for update skip locked
)
update public.sync_queue as item
set status = 'processing'
from taken
where item.id = taken.id
returning item.id::text as id, item.record_id, item.operation;
