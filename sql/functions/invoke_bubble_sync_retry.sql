-- Run by the job bubble-sync-retry: requests the Edge Function when failed items are due. Runs with the caller's rights,
-- writes only the dispatch log, and may be called by hand at any time. A failure of the log is a warning, and does not stop
-- the request.
create or replace function public.invoke_bubble_sync_retry()
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
    timeout_ms constant integer := 30000;
    dispatch_log constant boolean := true;
    overlap_guard constant boolean := false;
    url_secret constant text := 'supabase_url';
    key_secret constant text := 'service_role_key';
    failed_count bigint;
    request_id bigint;
    guarded boolean := overlap_guard;
    unanswered boolean := false;
begin
    if dispatch_log then
        begin
            perform bubble_sync.settle();
        exception when others then
            raise warning '[bubble_sync_retry] dispatch log: answers are not read (SQLSTATE %)', sqlstate;
            guarded := false;
        end;
    end if;

    -- An item without a time for its next attempt is due at once.
    select pg_catalog.count(*) into failed_count
    from public.sync_queue as item
    where item.status = 'failed'
        and item.retry_count < item.max_retries
        and (item.next_retry_at is null or item.next_retry_at <= pg_catalog.now());

    if failed_count = 0 then
        raise notice '[bubble_sync_retry] No failed items ready for retry';
        return;
    end if;

    if guarded then
        begin
            unanswered := bubble_sync.unanswered('bubble_sync_retry', timeout_ms);
        exception when others then
            raise warning '[bubble_sync_retry] overlap guard: it is not known what is under way (SQLSTATE %)', sqlstate;
        end;
    end if;
    if unanswered then
        raise notice '[bubble_sync_retry] Found % failed items ready for retry, but the last request is unanswered: skipped', failed_count;
        return;
    end if;

    raise notice '[bubble_sync_retry] Found % failed items ready for retry, invoking Edge Function', failed_count;
    request_id := bubble_sync.send(
        'bubble_sync_retry', 'retry_failed', '{}'::jsonb, timeout_ms, url_secret, key_secret
    );
    if request_id is not null then
        if dispatch_log then
            begin
                perform bubble_sync.record('bubble_sync_retry', failed_count, request_id);
            exception when others then
                raise warning '[bubble_sync_retry] dispatch log: request % is not recorded (SQLSTATE %)', request_id, sqlstate;
            end;
        end if;
        raise notice '[bubble_sync_retry] Edge Function invoked, request ID: %', request_id;
    end if;
end;
$function$;

comment on function public.invoke_bubble_sync_retry() is 'bubble-sync: invokes the Edge Function when failed items are due';
