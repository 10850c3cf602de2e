-- Set items back: failed or discarded items for another attempt, and items that a worker never finished; and discard failed
-- ones. Updates lock the row first and skip rows that are locked or have changed status.

-- name: failed
-- The items of these ids, whatever they stand at; without ids the failed ones that the filters leave. `pattern` is one of LIKE.
select id::text as id, operation::text as operation, record_id::text as record_id, status::text as status, error_message,
    retry_count, max_retries, created_at,
    coalesce(operation::text in
        -- include: items operations
    , false) as drained
from public.sync_queue
where case
    when %(ids)s::text[] is null then status = 'failed' and (retry_count >= max_retries or not %(dead)s::boolean)
        and coalesce(error_message ilike %(pattern)s::text, %(pattern)s::text is null)
        and coalesce(operation::text = %(operation)s::text, %(operation)s::text is null)
        and coalesce(created_at > pg_catalog.now() - %(since)s::interval, %(since)s::interval is null)
    else id::text = any (%(ids)s::text[])
end
order by created_at, id
limit %(most)s;

-- name: stalled
-- As in items.by_status, unless a minimum age is given: without a lease, the queue does not record when an item was taken. An
-- item whose lease lasts is another worker's, whatever its age.
select id::text as id, operation::text as operation, record_id::text as record_id, status::text as status, error_message,
    retry_count, max_retries, created_at
from public.sync_queue as item
where status = 'processing' and coalesce(
    -- include: items lease_end
, created_at + coalesce(%(older_than)s::interval, interval '10 minutes')) <= pg_catalog.now()
    and (%(older_than)s::interval is null or created_at <= pg_catalog.now() - %(older_than)s::interval)
order by created_at, id
limit %(most)s;

-- name: refuse_at_once
set constraints all immediate;

-- name: taken
select id from public.sync_queue where id::text = any (%(ids)s::text[]) and status::text = %(from_status)s
for update skip locked;

-- name: requeue
with taken as materialized (
    -- include: requeue taken
)
update public.sync_queue as item
set status = 'pending', retry_count = 0, next_retry_at = null, error_message = null
from taken
where item.id = taken.id
returning item.id::text as id;

-- name: requeue_for_retry
with taken as materialized (
    -- include: requeue taken
)
update public.sync_queue as item
set status = 'failed', retry_count = 0, next_retry_at = pg_catalog.now(), error_message = null
from taken
where item.id = taken.id
returning item.id::text as id;

-- name: discard
with taken as materialized (
    -- include: requeue taken
)
update public.sync_queue as item
set status = 'skipped'
from taken
where item.id = taken.id
returning item.id::text as id;

-- name: released
status = 'failed', retry_count = coalesce(retry_count, 0) + 1, next_retry_at = pg_catalog.now(),
error_message = 'bubble-sync: released, since it stood at processing and no request was under way';

-- name: release
with taken as materialized (
    -- include: requeue taken
)
update public.sync_queue as item
set
    -- include: requeue released
from taken
where item.id = taken.id
returning item.id::text as id;

-- name: release_claimed
-- As `release`, on a queue with the columns of sql/reference/claim.sql: a late worker's claim is void.
with taken as materialized (
    select id from public.sync_queue as item
    where id::text = any (%(ids)s::text[]) and status = 'processing' and coalesce(
        -- include: items lease_end
    , '-infinity') <= pg_catalog.now()
    for update skip locked
)
update public.sync_queue as item
set claim_token = null, claimed_until = null,
    -- include: requeue released
from taken
where item.id = taken.id
returning item.id::text as id;

-- name: claims
select count(*) as columns from pg_catalog.pg_attribute as column_of_claim
where column_of_claim.attrelid = 'public.sync_queue'::regclass
    and column_of_claim.attname in ('claim_token', 'claimed_until') and not column_of_claim.attisdropped
having count(*) = 2;

-- name: standing
select id::text as id, status::text as status from public.sync_queue where id::text = any (%(ids)s::text[]);

-- name: logged
-- Requests that may still be worked on. Supabase ends an Edge Function after 400 s at most, and pg_net's timeout does not
-- end it: done is what was answered with a status, and what never reached it.
select d.request_id, d.sent_at, d.sent_at + interval '400 seconds' as until
from (select * from bubble_sync.dispatches order by dispatch_id desc limit 1000) as d
where d.sent_at > pg_catalog.clock_timestamp() - interval '400 seconds'
    and d.status_code is null and d.verdict is distinct from 'rejected'
    and not exists (
        select from net._http_response as r
        where r.id = d.request_id and r.created >= d.sent_at - interval '1 minute' and r.status_code is not null
    )
order by d.sent_at desc;

-- name: queued
select id as request_id from net.http_request_queue where url ~ '/functions/v1/bubble_sync$' order by id desc;
