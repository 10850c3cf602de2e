-- Run the processor's command by hand. Never run another role's job: the command would run with our rights.

-- name: jobs
select jobid, command, active, username, database, username = current_user as mine,
    database = pg_catalog.current_database() as here
from cron.job
where jobname = 'bubble-sync-processor'
order by mine desc, here desc, jobid;

-- name: function
select pg_catalog.to_regprocedure('public.invoke_bubble_sync_processor()') is not null as there;

-- name: call
select public.invoke_bubble_sync_processor();

-- name: now
select pg_catalog.clock_timestamp() as now;
