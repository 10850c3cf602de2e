-- The processor's function with `processor.requestsPerTick` above 1, in place of invoke_bubble_sync_processor.sql: sends several
-- requests when more items wait than one request takes. At most that many requests are unanswered at a time, and one alone
-- until an answer says that the Edge Function claims its items. Waiting items are counted up to a bound, so that a long backlog
-- costs no more than a short one. A failure of the log is a warning, and leaves one request.
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
    requests_per_tick constant integer := 2;
    url_secret constant text := 'supabase_url';
    key_secret constant text := 'service_role_key';
    -- Enough for the requests of a tick.
    bound constant bigint := greatest(1000, requests_per_tick * batch_size);
    pending_count bigint;
    counted text;
    logged boolean := true;
    free_requests bigint := 1;
    request_id bigint;
begin
    begin
        perform bubble_sync.settle();
    exception when others then
        raise warning '[bubble_sync_processor] dispatch log: answers are not read (SQLSTATE %)', sqlstate;
        logged := false;
    end;

    select pg_catalog.count(*) into pending_count
    from (
        select from public.sync_queue as item
        where item.status = 'pending'
            and item.operation in ('SIGNUP_ATOMIC', 'INSERT', 'UPDATE')
        limit bound + 1
    ) as waiting;

    if pending_count = 0 then
        raise notice '[bubble_sync_processor] No pending items in queue';
        return;
    end if;
    counted := case when pending_count > bound then bound || '+' else pending_count::text end;
    pending_count := least(pending_count, bound);

    if logged then
        begin
            -- The lock of bubble_sync.unanswered, which also says what pg_net may need besides the request itself.
            if pg_catalog.pg_try_advisory_xact_lock(
                pg_catalog.hashtextextended('bubble-sync dispatch bubble_sync_processor', 0)
            ) then
                select case when pending_count > batch_size and
                    -- include: outcomes claims
                    then requests_per_tick else 1 end - pg_catalog.count(*)
                into free_requests
                from bubble_sync.dispatches as dispatch
                where dispatch.settled_at is null and dispatch.function = 'bubble_sync_processor'
                    and dispatch.sent_at > pg_catalog.clock_timestamp()
                        - (timeout_ms * interval '1 millisecond' + interval '1 minute');
            else
                free_requests := 0;
            end if;
            if free_requests < 1 and bubble_sync.unanswered('bubble_sync_processor', timeout_ms) then
                raise notice '[bubble_sync_processor] Found % pending items, but the last request is unanswered: skipped', counted;
                return;
            end if;
        exception when others then
            raise warning '[bubble_sync_processor] overlap guard: it is not known what is under way (SQLSTATE %)', sqlstate;
            free_requests := 1;
        end;
    end if;

    raise notice '[bubble_sync_processor] Found % pending items, invoking Edge Function', counted;
    while pending_count > 0 and free_requests > 0 loop
        request_id := bubble_sync.send(
            'bubble_sync_processor',
            'process_queue_data_api',
            pg_catalog.jsonb_build_object('limit', max_items, 'batch_size', batch_size),
            timeout_ms,
            url_secret,
            key_secret
        );
        exit when request_id is null;
        begin
            perform bubble_sync.record('bubble_sync_processor', pending_count, request_id);
        exception when others then
            raise warning '[bubble_sync_processor] dispatch log: request % is not recorded (SQLSTATE %)', request_id, sqlstate;
            free_requests := 1;
        end;
        raise notice '[bubble_sync_processor] Edge Function invoked, request ID: %', request_id;
        pending_count := pending_count - batch_size;
        free_requests := free_requests - 1;
    end loop;
end;
$function$;

comment on function public.invoke_bubble_sync_processor() is 'bubble-sync: invokes the Edge Function when items are pending';
