-- Called by `wake`: queues the processor's request in pg_net, unless `wake_due` or another insert makes it needless. Errors are
-- the caller's. The request does not pass through net.http_post: that function has no search_path of its own, so a session
-- that has called it before decides which types its variables have. Nor does a request pass a trigger, which every role may
-- create on that queue, and which would run as the owner. The queries of sql/queries/sending.sql replace the `include` lines.
create or replace function bubble_sync.wake_send()
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = 'on'
as $function$
declare
    max_items constant integer := 10;
    batch_size constant integer := 5;
    timeout_ms constant integer := 30000;
    wake_min_interval constant integer := 1;
    url_secret constant text := 'supabase_url';
    key_secret constant text := 'service_role_key';
    kept_for constant interval := interval '30 days';
    source constant text := 'bubble_sync_processor';
    action constant text := 'process_queue_data_api';
    payload constant jsonb := pg_catalog.jsonb_build_object('limit', max_items, 'batch_size', batch_size);
    url text;
    key text;
    authorization_header jsonb;
    request_id bigint;
begin
    -- An older snapshot does not show the newest request, and a serializable transaction could fail for what we read.
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed'
        or not bubble_sync.wake_due(source, action, wake_min_interval)
        -- Until commit, when others see the request. What was committed since the first look shows in the second.
        or not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync wake ' || source, 0))
        or not bubble_sync.wake_due(source, action, wake_min_interval)
    then
        return;
    end if;

    -- include: sending secrets

    if coalesce(url, '') = '' or coalesce(key, '') = '' then
        raise exception '[%] Vault secrets not configured', source;
    end if;

    -- include: sending headers

    -- The lock is the one of the insert below; no trigger is created while it is held.
    lock table net.http_request_queue in row exclusive mode;
    if exists (
        select from pg_catalog.pg_trigger where tgrelid = 'net.http_request_queue'::pg_catalog.regclass and not tgisinternal
    ) then
        raise exception '[%] net.http_request_queue has a trigger', source;
    end if;

    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (
        'POST',
        pg_catalog.rtrim(url, '/') || '/functions/v1/bubble_sync',
        pg_catalog.jsonb_build_object('Content-Type', 'application/json') || authorization_header,
        pg_catalog.convert_to(pg_catalog.jsonb_build_object('action', action, 'payload', payload)::text, 'UTF8'),
        timeout_ms
    )
    returning id into request_id;
    begin
        perform net.wake();
    exception when undefined_function then
        null; -- Before 0.19 pg_net looks once a second.
    end;

    insert into bubble_sync.dispatches (function, request_id) values (source, request_id);

    -- include: sending forget
end;
$function$;

comment on function bubble_sync.wake_send() is 'bubble-sync: sends the request of an insert, unless one is on its way';
