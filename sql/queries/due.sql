-- Data for missed runs. pg_cron's history is indexed by runid only: the newest 1,000 runs of all jobs are read, and earlier
-- ones are unknown.

-- name: record
-- Since when runs would be on record. An empty history whose numbers are in use was cleared at an unknown time. What the
-- role may not see of the setting or the sequence is null.
select
    pg_catalog.now() as asked_at,
    pg_catalog.pg_postmaster_start_time() as server_started_at,
    (
        select min(newest.start_time)
        from (select start_time from cron.job_run_details order by runid desc limit 1000) as newest
    ) as oldest_run_at,
    (
        select s.last_value is not null
        from pg_catalog.pg_sequences as s
        where s.schemaname = 'cron' and s.sequencename = 'runid_seq'
    ) as numbered,
    (select setting from pg_catalog.pg_settings where name = 'cron.log_run') as log_run;

-- name: began
-- When the newest run of each job began, whatever became of it.
select jobid, max(start_time) as start_time
from (select jobid, start_time from cron.job_run_details order by runid desc limit 1000) as newest
where start_time is not null
group by jobid;
