-- Run by the job bubble-sync-history: delete finished runs older than `keep_days` from pg_cron's history, of the stack's jobs
-- or of all jobs. The table has no index on time, so a call reads one window of pages and the next call the next window, and
-- deletes at most `most_rows`: a long history shrinks over many calls. Waits at most a second for a lock.
create or replace function bubble_sync.delete_old_runs()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
set row_security = 'on'
set lock_timeout = '1s'
as $function$
declare
    keep_days constant integer := 30;
    of_all_jobs constant boolean := false;
    own_jobs constant text := '{}';
    most_rows constant integer := 10000;
    window_pages constant integer := 4096;
    minutes_per_call constant integer := 10;
    oldest_kept constant timestamptz := pg_catalog.now() - pg_catalog.make_interval(days => keep_days);
    own_jobids bigint[];
    own_commands text[];
    window_count bigint;
    first_page bigint;
    first_row tid;
    end_row tid;
    newest_old bigint;
    deleted bigint;
begin
    -- One call at a time.
    if not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync history ' || current_user, 0)) then
        return;
    end if;

    -- By jobid, which an adopted job keeps; by command, for jobs that were unscheduled since.
    select pg_catalog.array_agg(job.jobid) into own_jobids
    from cron.job as job
    join pg_catalog.jsonb_object_keys(own_jobs::jsonb) as own (name) on own.name = job.jobname::text
    where job.username = current_user;
    own_commands := array(select own.value from pg_catalog.jsonb_each_text(own_jobs::jsonb) as own);

    begin
        -- The time picks the window, so that no call has to write down where it ended.
        window_count := greatest(1, pg_catalog.ceil(
            pg_catalog.pg_relation_size('cron.job_run_details')
            / (pg_catalog.current_setting('block_size')::numeric * window_pages)
        ));
        first_page := window_pages * (
            pg_catalog.floor(extract(epoch from pg_catalog.now()) / (60 * minutes_per_call))::bigint % window_count
        );
        first_row := pg_catalog.format('(%s,0)', first_page)::pg_catalog.tid;
        end_row := pg_catalog.format('(%s,0)', first_page + window_pages)::pg_catalog.tid;

        -- A run that never started has no time: such a run is old when a later one is. The + 0 keeps the planner from the index
        -- on runid, which would lead past every newer run.
        select max(run.runid + 0) into newest_old
        from cron.job_run_details as run
        where run.ctid >= first_row and run.ctid < end_row and coalesce(run.end_time, run.start_time) < oldest_kept;

        -- Only finished runs: pg_cron still writes to the others.
        delete from cron.job_run_details as run
        where run.ctid = any (array(
            select old.ctid
            from cron.job_run_details as old
            where old.ctid >= first_row and old.ctid < end_row
                and old.status in ('succeeded', 'failed')
                and old.runid + 0 <= newest_old
                and coalesce(old.end_time, old.start_time, '-infinity') < oldest_kept
                and (
                    of_all_jobs or old.jobid = any (own_jobids)
                    or old.command = any (own_commands) and old.username = current_user
                        and old.database = pg_catalog.current_database()
                )
            limit most_rows
        ));
        get diagnostics deleted = row_count;
    exception when lock_not_available then
        raise notice '[bubble_sync_history] The run history is locked, nothing deleted; the next run tries again';
        return;
    end;
    if deleted > 0 then
        raise notice '[bubble_sync_history] Deleted % old runs', deleted;
    end if;
end;
$function$;

comment on function bubble_sync.delete_old_runs() is 'bubble-sync: deletes old runs from the history of pg_cron';
