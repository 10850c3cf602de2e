-- pg_cron's jobs. cron.job has row security: a role without BYPASSRLS sees only its own.
-- The block in observe.sql declares `given.`.

-- name: observe
-- Every job of these names, ours first; `mine` is decided by the role's name, as pg_cron does. `node` is where pg_cron
-- connects for the job, where that is not this server; in background workers it connects nowhere.
select jobid, jobname::text as name, schedule, command, database, active, username,
    username = current_user as mine,
    database = pg_catalog.current_database() as here,
    case
        when 'on' = (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.use_background_workers') then ''
        when nodeport = pg_catalog.current_setting('port')::integer and (
            nodename ~ '^(localhost|127\.0\.0\.1|::1|/.*|)$'
            or nodename = (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.host')
        ) then ''
        else pg_catalog.format('%s:%s', nodename, nodeport)
    end as node
from cron.job
where jobname = any (given.jobs)
order by mine desc, jobid;

-- name: reader
-- Who reads, whether row security leaves only the reader's own jobs, and whose the ledger is; and which pg_cron the server
-- has. The library decides what schedules it knows, and its control file says which: what is installed may be behind.
select current_user::text as role, pg_catalog.row_security_active('cron.job') as own_alone, (
    select pg_catalog.pg_get_userbyid(c.relowner)
    from pg_catalog.pg_class as c
    where c.oid = pg_catalog.to_regclass('bubble_sync.ledger')
) as keeper, coalesce(
    (select e.default_version from pg_catalog.pg_available_extensions as e where e.name = 'pg_cron'),
    (select e.extversion from pg_catalog.pg_extension as e where e.extname = 'pg_cron')
) as pg_cron;

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
