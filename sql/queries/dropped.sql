-- The table that is dropped: what the alerts have told goes with them.

-- name: alerts
drop table if exists bubble_sync.alerts;

-- name: alerts_of_no_function
do $forget$
begin
    if pg_catalog.to_regprocedure('bubble_sync.alert()') is null then
        drop table if exists bubble_sync.alerts;
    end if;
end;
$forget$;
