-- Record whether a condition of the alerts holds at this tick. Writes only a change.
create or replace function bubble_sync.alert_holds(condition text, holds boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
begin
    update bubble_sync.alerts as state
    set holding = case
        when holds then array(select pg_catalog.unnest(state.holding || condition) order by 1)
        else pg_catalog.array_remove(state.holding, condition)
    end
    where holds is distinct from (condition = any (state.holding));
end;
$function$;

comment on function bubble_sync.alert_holds(text, boolean) is 'bubble-sync: records whether a condition holds';
