-- Evidence for a working sync. What the reader cannot see is missing in the answer, and means unknown.
-- The block in observe.sql declares `given.`.

-- name: runs
-- The newest finished run of each of our jobs, and whether pg_cron has one at all. The table may be long and is indexed
-- by runid alone: the newest rows are read, and never a span of time. Its messages stay: they have been seen to hold keys.
-- What else is needed to tell whether a run is overdue comes with it.
begin
    answer := answer || pg_catalog.jsonb_build_object('runs', (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(run)), '[]') from (
            select distinct on (job.jobid) job.jobname::text as name, newest.runid, newest.status, newest.start_time,
                extract(epoch from pg_catalog.now() - newest.start_time)::bigint as seconds_ago,
                newest.began_at, newest.oldest_run_at, pg_catalog.pg_postmaster_start_time() as server_started_at
            from (
                select runid, jobid, status, start_time, max(start_time) over (partition by jobid) as began_at,
                    min(start_time) over () as oldest_run_at
                from (
                    select runid, jobid, status, start_time from cron.job_run_details order by runid desc limit 10000
                ) as latest
            ) as newest
            join cron.job on job.jobid = newest.jobid
            where job.jobname = any (given.jobs) and job.username = current_user
                and newest.status in ('succeeded', 'failed')
            order by job.jobid, newest.runid desc
        ) as run
    ));
exception when undefined_table or invalid_schema_name or insufficient_privilege then
    null;
end;

-- name: dispatches
-- Our newest requests, as the log has them; `moved` where an answer said nothing and an item was processed after it.
begin
    answer := answer || pg_catalog.jsonb_build_object('dispatches', (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(sent)), '[]') from (
            select function, runid, request_id, waiting, sent_at, settled_at, verdict, status_code, duration_ms, processed,
                failed, skipped, pg_catalog.left(error, 200) as error, verdict = 'answered' and exists (
                    select from public.sync_queue as item
                    where item.processed_at >= sent_at and item.processed_at < sent_at + interval '5 minutes'
                ) as moved
            from bubble_sync.dispatches
            order by dispatch_id desc
            limit 20
        ) as sent
    ));
exception when undefined_table or undefined_column or invalid_schema_name or insufficient_privilege then
    null;
end;

-- name: responses
-- The newest response to anybody's request: pg_net does not say whose it was, and forgets after some hours.
-- A standby does not have the table's rows.
begin
    answer := answer || pg_catalog.jsonb_build_object('responses', (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(response)), '[]') from (
            select status_code, coalesce(timed_out, false) as timed_out, error_msg is not null as failed, created, good
            from (
                -- include: outcomes at_a_glance
            ) as answer
            order by created desc
            limit 1
        ) as response
    ));
exception when undefined_table or invalid_schema_name or insufficient_privilege or feature_not_supported then
    null;
end;
