-- Run by the trigger bubble_sync_wake after each insert into the queue. Never fails an insert, and waits for no lock: an error
-- is counted, and leaves the items to the job. Runs with its owner's rights, so that the inserting role needs none. pg_temp is
-- last in search_path: by default it is first, and that role's own types would run as the owner.
create or replace function bubble_sync.wake()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set exit_on_error = 'off'
set lock_timeout = '0'
as $function$
begin
    -- Not in the function's head: it would count outside this block too, while PostgreSQL compiles the function in a new session
    -- and waits for a catalog. The function's end takes it back, and so does an error.
    perform pg_catalog.set_config('lock_timeout', '1ms', true);
    -- The way of most inserts. A sequence is not transactional, so that no session waits for another one.
    if pg_catalog.to_timestamp(
        pg_catalog.pg_sequence_last_value('bubble_sync.wake_closed_until'::pg_catalog.regclass) / 1000::double precision
    ) > pg_catalog.clock_timestamp() then
        return null;
    end if;
    perform bubble_sync.wake_send();
    return null;
exception when others then
    begin
        perform pg_catalog.set_config('lock_timeout', '1ms', true);
        perform pg_catalog.nextval('bubble_sync.wake_errors');
        raise log '[bubble_sync_wake] no request sent (SQLSTATE %)', sqlstate;
        -- Not again for every insert.
        perform pg_catalog.setval(
            'bubble_sync.wake_closed_until',
            (1000 * (1 + pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())))::bigint
        );
    exception when others then
        null;
    end;
    return null;
end;
$function$;

comment on function bubble_sync.wake() is 'bubble-sync: requests the Edge Function for what an insert has queued';
