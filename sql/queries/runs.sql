-- The runs of pg_cron. The table may be long and is indexed by runid only: the newest rows are read, at most 10,000, since runs
-- start roughly in the order of their runids. Job names come from a join by jobid. cron.job has row security: most roles see
-- only their own jobs.

-- name: own_job
-- One word after the prefix: the jobs of a stack whose prefix goes on (shop, shop-sync) begin alike.
pg_catalog.starts_with(j.jobname::text, 'bubble-sync-')
and pg_catalog.strpos(pg_catalog.substr(j.jobname::text, 1 + pg_catalog.length('bubble-sync-')), '-') = 0

-- name: jobs
-- Guide, step 5, and the record's step 8.
select jobid, jobname::text as jobname, schedule, active, database, username
from cron.job as j
where
    -- include: runs own_job
order by jobname, jobid;

-- name: latest
-- Guide, jobs not executing; then the rest of what the record's next steps read. A message has been seen to hold a key.
select j.jobname::text as jobname, r.status, r.return_message, r.start_time, r.end_time, r.jobid, r.runid, r.job_pid,
    r.database, r.username, r.command
from (select * from cron.job_run_details order by runid desc limit 10000) as r
join cron.job as j on j.jobid = r.jobid
where
    -- include: runs own_job
order by r.runid desc
limit %(most)s;

-- name: performance
-- Guide, cron job performance: a day, as far as the newest runs of all jobs reach; `since` is the first one counted.
select
    j.jobname::text as jobname,
    count(*) as executions,
    avg(extract(epoch from r.end_time - r.start_time))::float8 as avg_duration_seconds,
    count(*) filter (where r.status = 'failed') as failures,
    percentile_cont(0.95) within group (order by extract(epoch from r.end_time - r.start_time)::float8)
        as p95_duration_seconds,
    min(r.start_time) as since
from (
    select jobid, status, start_time, end_time
    from cron.job_run_details
    where runid > coalesce((
        select newest.runid
        from (select runid, start_time from cron.job_run_details order by runid desc limit 10000) as newest
        where newest.start_time <= pg_catalog.now() - interval '24 hours'
        order by newest.runid desc
        limit 1
    ), 0)
    order by runid desc
    limit 10000
) as r
join cron.job as j on j.jobid = r.jobid
where r.start_time > pg_catalog.now() - interval '24 hours' and
    -- include: runs own_job
group by j.jobname
order by j.jobname;

-- name: newest
-- The newest finished run of each job.
select distinct on (r.jobid) r.jobid, j.jobname::text as jobname, r.runid, r.status, r.start_time, r.end_time
from (
    select jobid, runid, status, start_time, end_time from cron.job_run_details order by runid desc limit 10000
) as r
join cron.job as j on j.jobid = r.jobid
where r.status in ('succeeded', 'failed') and
    -- include: runs own_job
order by r.jobid, r.runid desc;

-- name: around
-- The processor's first run that began after a moment, and whether the newest runs reach back to that moment.
with before as (
    select newest.runid
    from (select runid, start_time from cron.job_run_details order by runid desc limit 10000) as newest
    where newest.start_time < %(since)s
    order by newest.runid desc
    limit 1
), edge as (
    select runid from cron.job_run_details order by runid desc offset 10000 limit 1
)
select r.runid, r.status, r.start_time, r.return_message,
    exists (select from before) or not exists (select from edge) as reached
from cron.job_run_details as r
join cron.job as j on j.jobid = r.jobid
where j.jobname = 'bubble-sync-processor' and r.start_time >= %(since)s
    and r.runid > coalesce((select runid from before), (select runid from edge), 0)
order by r.runid
limit 1;

-- name: ends
-- `not_started` is what pg_cron says of a command that it never sent; of any other run it is null.
select j.jobname, r.jobid, r.runid, r.status, r.start_time, r.return_message,
    pg_catalog.lower(pg_catalog.substring(
        r.return_message,
        '(?i)(startup timeout|connection failed|could not (?:fork|start)|server restarted|job canceled)'
    )) as not_started
from (
    select jobid, runid, status, start_time, return_message from cron.job_run_details order by runid desc limit 1000
) as r
join cron.job as j on j.jobid = r.jobid and j.username = current_user
join pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as wanted (name text) on wanted.name = j.jobname
where r.status in ('succeeded', 'failed');

-- name: record
-- Data for missed runs: earlier runs than the newest 10,000 of all jobs are unknown.
-- Since when runs would be on record. An empty history whose numbers are in use was cleared at an unknown time. What the
-- role may not see of the setting or the sequence is null.
select
    pg_catalog.now() as asked_at,
    pg_catalog.pg_postmaster_start_time() as server_started_at,
    (
        select min(newest.start_time)
        from (select start_time from cron.job_run_details order by runid desc limit 10000) as newest
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
from (select jobid, start_time from cron.job_run_details order by runid desc limit 10000) as newest
where start_time is not null
group by jobid;
