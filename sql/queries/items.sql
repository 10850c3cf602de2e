-- Items of the queue. The guide's columns come first, in its order; ours follow. The processor counts `operations` alone.

-- name: operations
('SIGNUP_ATOMIC', 'INSERT', 'UPDATE')

-- name: lease_end
-- The end of a claim's lease (sql/reference/claim.sql), on a queue with that column; else null. As JSON, since the guide's
-- queue has no such column, and in a form that no setting of the session changes.
case when status::text = 'processing' and exists (
    select from pg_catalog.pg_attribute as leased
    where leased.attrelid = 'public.sync_queue'::regclass and leased.attname = 'claimed_until'
        and leased.atttypid = 'timestamp with time zone'::regtype and not leased.attisdropped
) then (pg_catalog.to_jsonb(item)->>'claimed_until')::timestamptz end

-- name: by_status
-- Guide, step 7; the first three columns are the record's, step 11. What came and went is of the last hour. An item in
-- `processing` is stalled after the end of its lease. The guide's queue has no column that says when an item was taken: without
-- a lease, an item that was queued ten minutes ago counts as stalled.
-- `skipped` is the source application's own word. What a CHECK or the enum of another application names is declared, but
-- for another spelling of a word of ours: that is a mistake.
select status::text as status, operation::text as operation, count(*) as count, min(created_at) as oldest_item,
    coalesce(operation::text in
        -- include: items operations
    , false) as drained,
    coalesce(status::text in ('pending', 'processing', 'completed', 'failed', 'skipped'), false) as recognised,
    pg_catalog.lower(pg_catalog.btrim(status::text)) not in ('pending', 'processing', 'completed', 'failed') and exists (
        select from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_constraint as c on c.contype = 'c' and (c.conrelid = a.attrelid or c.contypid = a.atttypid)
        left join pg_catalog.pg_enum as e on e.enumtypid = a.atttypid
        where a.attrelid = 'public.sync_queue'::regclass and a.attname = 'status' and (
            e.enumlabel = status::text
            or pg_catalog.strpos(pg_catalog.pg_get_constraintdef(c.oid), pg_catalog.quote_literal(status::text)) > 0
        )
    ) as declared,
    count(*) filter (
        where status = 'processing' and coalesce(
            -- include: items lease_end
        , created_at + interval '10 minutes') <= pg_catalog.now()
    ) as stalled,
    count(*) filter (where status = 'failed' and retry_count >= max_retries) as dead,
    count(*) filter (where status = 'failed' and (retry_count is null or max_retries is null)) as unlimited,
    count(*) filter (where status = 'pending' and next_retry_at > pg_catalog.now()) as early,
    max(next_retry_at) filter (where status = 'pending' and next_retry_at > pg_catalog.now()) as early_until,
    count(*) filter (where created_at > pg_catalog.now() - interval '1 hour') as came,
    count(*) filter (where status = 'completed' and processed_at > pg_catalog.now() - interval '1 hour') as went
from public.sync_queue as item
group by status, operation
order by status, operation;

-- name: took
-- From insert to completed, of the items of the processor's operations completed since a moment.
select count(*) as items, max(seconds) as longest,
    pg_catalog.percentile_cont(0.5) within group (order by seconds) as median,
    pg_catalog.percentile_cont(0.95) within group (order by seconds) as p95
from (
    select extract(epoch from processed_at - created_at)::float8 as seconds
    from public.sync_queue
    where status = 'completed' and processed_at > %(since)s::timestamptz and processed_at <= pg_catalog.now()
        and processed_at >= created_at and pg_catalog.isfinite(created_at)
        and operation::text in
            -- include: items operations
) as took;

-- name: summary
-- Guide, daily queue summary.
select status::text as status, count(*) as count, min(created_at) as oldest, max(created_at) as newest
from public.sync_queue
where created_at > pg_catalog.now() - interval '24 hours'
group by status
order by status;

-- name: failures
-- Guide, recent sync failures: the newest `most`, each with the number of all.
select id::text as id, operation::text as operation, record_id::text as record_id, error_message, retry_count,
    created_at, max_retries, next_retry_at, count(*) over () as total,
    case when pg_catalog.row_number() over (order by created_at desc) <= %(detailed)s then
        -- include: items details
    end as details
from public.sync_queue as item
where status = 'failed'
order by created_at desc
limit %(most)s;

-- name: details
-- What the Edge Function noted of an item. Another application's queue may lack these columns.
pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
    'error_details', pg_catalog.left(pg_catalog.to_jsonb(item) ->> 'error_details', 100000),
    'bubble_response', pg_catalog.left(pg_catalog.to_jsonb(item) ->> 'bubble_response', 100000)
))

-- name: latest_sign_up
-- Guide, step 8.
select id::text as id, record_id::text as record_id, operation::text as operation, status::text as status, created_at,
    processed_at, error_message, retry_count, max_retries, next_retry_at, pg_catalog.now() as asked_at,
    -- include: items details
    as details
from (
    -- One item, before its details are read.
    select * from public.sync_queue where operation = 'SIGNUP_ATOMIC' order by created_at desc nulls last limit 1
) as item;

-- name: of
-- The item of this id; else of this record, its newest sign-up, else its newest item. As text: an id may have any type.
select id::text as id, record_id::text as record_id, operation::text as operation, status::text as status, created_at,
    processed_at, error_message, retry_count, max_retries, next_retry_at, pg_catalog.now() as asked_at,
    -- include: items details
    as details
from (
    select * from public.sync_queue
    where id::text = %(wanted)s or record_id::text = %(wanted)s
    order by id::text = %(wanted)s desc, operation = 'SIGNUP_ATOMIC' desc, created_at desc nulls last
    limit 1
) as item;

-- name: bubble_ids
-- Guide, step 8: what became of one person's records, by email or by the record that an item names.
select u._id::text as _id, u.email, u.bubble_id as user_bubble_id, h.bubble_id as host_bubble_id,
    g.bubble_id as guest_bubble_id
from public."user" as u
left join public.account_host as h on h._id = u."Account - Host / Landlord"
left join public.account_guest as g on g._id = u."Account - Guest"
where u.email = %(email)s or u._id::text = %(record_id)s;

-- name: person
select _id::text as _id from public."user" where email = %(email)s;
