-- Drop the alerts' table with its contents.

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
