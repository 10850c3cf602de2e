-- pg_cron's jobs. cron.job has row security: a role without BYPASSRLS sees its own alone.

-- name: observe
-- Every job of this name, ours first; `mine` is decided by the role's name, as pg_cron does.
select jobid, schedule, command, database, active, username,
    username = current_user as mine,
    database = pg_catalog.current_database() as here
from cron.job
where jobname = %(name)s
order by mine desc, jobid;

-- name: schedule
select cron.schedule(%(name)s::text, %(schedule)s::text, %(command)s::text) as jobid;

-- name: alter
-- A null leaves the field as it is. The role is never named: that is for superusers alone, even for oneself.
select cron.alter_job(
    job_id => %(jobid)s::bigint,
    schedule => %(schedule)s::text,
    command => %(command)s::text,
    database => case when %(here)s::boolean then pg_catalog.current_database() end::text,
    active => %(active)s::boolean
);

-- name: unschedule
select cron.unschedule(%(jobid)s::bigint);
