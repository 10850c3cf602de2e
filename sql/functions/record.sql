-- Record a request that was handed to pg_net, with its pg_cron run, or null when called by hand. Also deletes a bounded
-- number of old rows, so that an idle tick writes nothing. The caller catches errors. Waits at most a second for a lock.
create or replace function bubble_sync.record(source text, waiting_count bigint, request bigint)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1s'
as $function$
declare
    kept_for constant interval := interval '30 days';
    own_runid bigint;
begin
    -- pg_cron writes the pid before it sends the command. Only among the newest runs: pids recur, and have no index.
    begin
        select newest.runid into own_runid
        from (
            select run.runid, run.job_pid, run.status from cron.job_run_details as run order by run.runid desc limit 100
        ) as newest
        where newest.job_pid = pg_catalog.pg_backend_pid() and newest.status in ('sending', 'running')
        order by newest.runid desc
        limit 1;
    exception
        when undefined_table or invalid_schema_name then
            null;
        when others then
            raise warning '[%] dispatch log: its run is not known (SQLSTATE %)', source, sqlstate;
    end;

    insert into bubble_sync.dispatches (function, runid, waiting, request_id)
    values (source, own_runid, least(waiting_count, 2147483647), request);

    -- include: sending forget
end;
$function$;

comment on function bubble_sync.record(text, bigint, bigint) is 'bubble-sync: writes down one request to the Edge Function';
