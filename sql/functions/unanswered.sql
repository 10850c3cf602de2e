-- The overlap guard: return whether the last request of a function is unanswered, so that no new one may be sent. Counts the
-- skipped ticks. Of two concurrent calls one is skipped: the lock lasts until the end of the transaction. The caller catches
-- errors. Waits at most a second for a lock.
create or replace function bubble_sync.unanswered(source text, timeout_ms integer)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1s'
as $function$
declare
    -- What pg_net may need beside the request itself: it takes requests up in batches, and answers a batch as a whole.
    lease constant interval := timeout_ms * interval '1 millisecond' + interval '1 minute';
begin
    -- An insert that has sent a request holds this lock until it commits, and the request does not show before. That
    -- transaction may stay open for long.
    begin
        perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync wake ' || source, 0));
    exception when lock_not_available then
        null;
    end;

    if pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync dispatch ' || source, 0))
        and not exists (
            select from bubble_sync.dispatches as dispatch
            where dispatch.settled_at is null and dispatch.function = source
                and dispatch.sent_at > pg_catalog.clock_timestamp() - lease
        )
    then
        return false;
    end if;

    begin
        update bubble_sync.dispatches as dispatch
        set skipped = dispatch.skipped + 1
        where dispatch.dispatch_id = (
            select last.dispatch_id from bubble_sync.dispatches as last
            where last.function = source
            order by last.dispatch_id desc
            limit 1
        );
    exception when others then
        raise warning '[%] dispatch log: a skipped tick is not counted (SQLSTATE %)', source, sqlstate;
    end;
    return true;
end;
$function$;

comment on function bubble_sync.unanswered(text, integer) is 'bubble-sync: whether the last request has no answer yet';
