-- Return the condition and its line if all of the newest answered requests were rejected (by status, by body, or by another
-- responder), and at least one of them since the last line, which is older than the cooldown. Without a readable log the
-- condition stays as it was: `drift` reports a missing or changed log.
create or replace function bubble_sync.alert_rejected(requests integer, cooldown_minutes integer)
returns text[]
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    rejected bigint;
    newest bigint;
    answers text;
    told boolean;
begin
    select pg_catalog.count(*), pg_catalog.max(last.dispatch_id),
        pg_catalog.string_agg(distinct coalesce('HTTP ' || last.status_code, 'no answer')
            || case when last.verdict = 'rejected' then '' else ', ' || last.verdict end, ', ')
    into rejected, newest, answers
    from (
        select * from bubble_sync.dispatches as dispatch
        where dispatch.settled_at is not null
        order by dispatch.dispatch_id desc
        limit requests
    ) as last
    where last.verdict in ('rejected', 'refused by its body', 'not the function''s answer');

    perform bubble_sync.alert_holds('rejected', rejected = requests);
    if rejected = requests then
        update bubble_sync.alerts as state
        set last_rejected = newest, rejected_told = pg_catalog.now()
        where state.last_rejected <> newest -- ids begin anew with a log that was made anew
            and state.rejected_told < pg_catalog.now() - cooldown_minutes * interval '1 minute'
        returning true into told;
    end if;
    return case when told then
        array[array['rejected', pg_catalog.format('the last %s requests were rejected: %s', requests, answers)]]
    end;
exception when undefined_table or undefined_column then
    return null;
end;
$function$;

comment on function bubble_sync.alert_rejected(integer, integer) is 'bubble-sync: whether requests are rejected in a row';
