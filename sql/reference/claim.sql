-- Reference SQL for the owner of the Edge Function and of the queue: workers claim items with a lease, so that no two work on
-- one item. `pulumi up` does not install the file. Copy the file into a migration, or run the file as the owner of the queue,
-- again at any time. docs/guides/claim.md explains the steps.
--
-- A claimed item stands at `processing` until its worker completes or fails the item with the token of the claim. After
-- `claimed_until` sync_queue_requeue_stalled may set the item back, and the token of the late worker is void.
begin;

-- Do not let sign-ups queue behind a statement that waits for an older transaction.
set local lock_timeout = '5s';
set local client_min_messages = warning;

alter table public.sync_queue
    add column if not exists claim_token uuid,
    add column if not exists claimed_until timestamptz;

comment on column public.sync_queue.claim_token is 'Claim of the worker that has the item at processing';
comment on column public.sync_queue.claimed_until is 'End of the lease, after which another worker may have the item';

-- Holds only items at work. The build reads the whole queue and stops its writers: on a queue with millions of rows run the
-- statement above and then `create index concurrently`, each in a call of its own, before the file.
create index if not exists sync_queue_claimed on public.sync_queue (claimed_until) where status = 'processing';

-- Claim the oldest items that a job counts, for a lease: `pending` items as the processor counts them, or `failed` items that
-- are due for the retry. A concurrent call takes others. Each returned row has the claim's token. The work on all items of
-- a claim must end within the lease; the default is longer than an Edge Function can live (400 s).
create or replace function public.sync_queue_claim(
    from_status text default 'pending',
    most integer default 10,
    lease_seconds integer default 420
)
returns setof public.sync_queue
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    token constant uuid := pg_catalog.gen_random_uuid();
begin
    if from_status is null or from_status not in ('pending', 'failed') then
        raise exception 'sync_queue_claim: from_status is pending or failed' using errcode = 'invalid_parameter_value';
    end if;
    -- Supabase's API returns at most 1000 rows: more items would be claimed by a worker that does not see them.
    if most is null or most not between 1 and 1000 then
        raise exception 'sync_queue_claim: most is 1 to 1000' using errcode = 'invalid_parameter_value';
    end if;
    if lease_seconds is null or lease_seconds not between 1 and 86400 then
        raise exception 'sync_queue_claim: lease_seconds is 1 to 86400' using errcode = 'invalid_parameter_value';
    end if;

    -- Each status has its own branch: the planner uses a partial index only for a constant.
    return query
    with waiting as materialized (
        select item.id
        from public.sync_queue as item
        where from_status = 'pending' and item.status = 'pending'
            and item.operation in ('SIGNUP_ATOMIC', 'INSERT', 'UPDATE')
        order by item.created_at, item.id
        limit most
        for update skip locked
    ), due as materialized (
        select item.id
        from public.sync_queue as item
        where from_status = 'failed' and item.status = 'failed'
            and item.retry_count < item.max_retries
            and (item.next_retry_at is null or item.next_retry_at <= pg_catalog.now())
        order by item.created_at, item.id
        limit most
        for update skip locked
    )
    update public.sync_queue as item
    set status = 'processing', claim_token = token,
        claimed_until = pg_catalog.now() + lease_seconds * interval '1 second'
    from (select waiting.id from waiting union all select due.id from due) as taken
    where item.id = taken.id
    returning item.*;
end;
$function$;

comment on function public.sync_queue_claim(text, integer, integer) is
    'Claims items for a lease; a concurrent call takes others';

-- Mark an item as completed. False means that the claim is void: another worker has or had the item. A lease that has run out
-- is no obstacle while no other worker took the item.
create or replace function public.sync_queue_complete(item_id public.sync_queue.id%type, token uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
begin
    update public.sync_queue as item
    set status = 'completed', processed_at = pg_catalog.now(), error_message = null, next_retry_at = null,
        claim_token = null, claimed_until = null
    where item.id = item_id and item.status = 'processing' and item.claim_token = token;
    return found;
end;
$function$;

comment on function public.sync_queue_complete is 'Completes an item; false when the claim is void';

-- Mark an item as failed. The next attempt is due after first_seconds, then after twice, four times, ... as long, at most
-- after an hour; without an attempt left there is no next one. False means that the claim is void.
create or replace function public.sync_queue_fail(
    item_id public.sync_queue.id%type,
    token uuid,
    message text,
    first_seconds integer default 60
)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
begin
    if first_seconds is null or first_seconds not between 0 and 3600 then
        raise exception 'sync_queue_fail: first_seconds is 0 to 3600' using errcode = 'invalid_parameter_value';
    end if;

    update public.sync_queue as item
    set status = 'failed', error_message = coalesce(nullif(pg_catalog.left(message, 2000), ''), 'no message'),
        retry_count = coalesce(item.retry_count, 0) + 1,
        next_retry_at = case when coalesce(item.retry_count, 0) + 1 >= item.max_retries then null
            else pg_catalog.now()
                + least(3600, first_seconds * 2 ^ least(coalesce(item.retry_count, 0), 12)) * interval '1 second' end,
        claim_token = null, claimed_until = null
    where item.id = item_id and item.status = 'processing' and item.claim_token = token;
    return found;
end;
$function$;

comment on function public.sync_queue_fail is 'Fails an item, with exponential back-off; false when the claim is void';

-- Set back the items whose lease has run out, and return their number. The lost attempt counts, so that an item that ends its
-- worker each time runs out of attempts. The items are due at once as `failed`, as after `bubble-sync release-stalled`: a
-- queue may allow only one pending item of a record. Items at `processing` without a lease are another worker's.
create or replace function public.sync_queue_requeue_stalled(most integer default 1000)
returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    requeued integer;
begin
    with stalled as materialized (
        select claimed.id
        from public.sync_queue as claimed
        where claimed.status = 'processing' and claimed.claimed_until <= pg_catalog.now()
        order by claimed.claimed_until
        limit most
        for update skip locked
    )
    update public.sync_queue as item
    set status = 'failed', error_message = 'the lease ran out: the worker did not finish',
        retry_count = coalesce(item.retry_count, 0) + 1, next_retry_at = pg_catalog.now(),
        claim_token = null, claimed_until = null
    from stalled
    where item.id = stalled.id;
    get diagnostics requeued = row_count;
    return requeued;
end;
$function$;

comment on function public.sync_queue_requeue_stalled(integer) is 'Sets back the items whose lease has run out';

-- Supabase grants EXECUTE on every new function in public to three roles by name, and PostgreSQL to PUBLIC.
revoke execute on function public.sync_queue_claim(text, integer, integer) from public, anon, authenticated;
revoke execute on function public.sync_queue_complete from public, anon, authenticated;
revoke execute on function public.sync_queue_fail from public, anon, authenticated;
revoke execute on function public.sync_queue_requeue_stalled(integer) from public, anon, authenticated;
grant execute on function public.sync_queue_claim(text, integer, integer) to service_role;
grant execute on function public.sync_queue_complete to service_role;
grant execute on function public.sync_queue_fail to service_role;
grant execute on function public.sync_queue_requeue_stalled(integer) to service_role;

commit;
