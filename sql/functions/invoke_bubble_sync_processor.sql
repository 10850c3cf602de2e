-- What the job bubble-sync-processor runs: asks the Edge Function to drain the queue when items are pending.
-- Runs as its caller, changes nothing itself, and may be called by hand at any time.
create or replace function public.invoke_bubble_sync_processor()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    max_items constant integer := 10;
    batch_size constant integer := 5;
    timeout_ms constant integer := 30000;
    url_secret constant text := 'supabase_url';
    key_secret constant text := 'service_role_key';
    pending_count bigint;
    request_id bigint;
begin
    select pg_catalog.count(*) into pending_count
    from public.sync_queue as item
    where item.status = 'pending'
        and item.operation in ('SIGNUP_ATOMIC', 'INSERT', 'UPDATE');

    if pending_count = 0 then
        raise notice '[bubble_sync_processor] No pending items in queue';
        return;
    end if;

    raise notice '[bubble_sync_processor] Found % pending items, invoking Edge Function', pending_count;
    request_id := bubble_sync.send(
        'bubble_sync_processor',
        'process_queue_data_api',
        pg_catalog.jsonb_build_object('limit', max_items, 'batch_size', batch_size),
        timeout_ms,
        url_secret,
        key_secret
    );
    if request_id is not null then
        raise notice '[bubble_sync_processor] Edge Function invoked, request ID: %', request_id;
    end if;
end;
$function$;

comment on function public.invoke_bubble_sync_processor() is 'bubble-sync: invokes the Edge Function when items are pending';
