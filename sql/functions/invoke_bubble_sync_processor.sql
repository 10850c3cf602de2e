-- Run by the job bubble-sync-processor: requests the Edge Function when items are pending. Runs with the caller's rights,
-- writes only the dispatch log, and may be called by hand at any time. A failure of the log is a warning, and does not stop
-- the request.
create or replace function public.invoke_bubble_sync_processor()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
set standard_conforming_strings = 'on'
set TimeZone = 'UTC'
set row_security = 'on'
set exit_on_error = 'off'
as $function$
declare
    max_items constant integer := 10;
    batch_size constant integer := 5;
    timeout_ms constant integer := 30000;
    dispatch_log constant boolean := true;
    overlap_guard constant boolean := false;
    url_secret constant text := 'supabase_url';
    key_secret constant text := 'service_role_key';
    pending_count bigint;
    request_id bigint;
    guarded boolean := overlap_guard;
    unanswered boolean := false;
begin
    if dispatch_log then
        begin
            perform bubble_sync.settle();
        exception when others then
            raise warning '[bubble_sync_processor] dispatch log: answers are not read (SQLSTATE %)', sqlstate;
            guarded := false;
        end;
    end if;

    select pg_catalog.count(*) into pending_count
    from public.sync_queue as item
    where item.status = 'pending'
        and item.operation in ('SIGNUP_ATOMIC', 'INSERT', 'UPDATE');

    if pending_count = 0 then
        raise notice '[bubble_sync_processor] No pending items in queue';
        return;
    end if;

    if guarded then
        begin
            unanswered := bubble_sync.unanswered('bubble_sync_processor', timeout_ms);
        exception when others then
            raise warning '[bubble_sync_processor] overlap guard: it is not known what is under way (SQLSTATE %)', sqlstate;
        end;
    end if;
    if unanswered then
        raise notice '[bubble_sync_processor] Found % pending items, but the last request is unanswered: skipped', pending_count;
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
        if dispatch_log then
            begin
                perform bubble_sync.record('bubble_sync_processor', pending_count, request_id);
            exception when others then
                raise warning '[bubble_sync_processor] dispatch log: request % is not recorded (SQLSTATE %)', request_id, sqlstate;
            end;
        end if;
        raise notice '[bubble_sync_processor] Edge Function invoked, request ID: %', request_id;
    end if;
end;
$function$;

comment on function public.invoke_bubble_sync_processor() is 'bubble-sync: invokes the Edge Function when items are pending';
