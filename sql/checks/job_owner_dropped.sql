-- title: Job of a role that is gone
-- needs: cron.job:all
-- When pg_cron starts, it looks up the role of every job, active or not, and stops at one that is not there: after the next
-- restart no job of the database runs (citusdata/pg_cron#399).
select
    'error' as level,
    'job ' || coalesce(j.jobname::text, '(jobid ' || j.jobid || ')') as object,
    pg_catalog.format('jobid %%s belongs to the role %%I, which is not there', j.jobid, j.username) as evidence,
    pg_catalog.format(
        'create role %%1$I; keeps the scheduler up. To be rid of the job, where you may: grant usage on schema cron to '
        '%%1$I; grant %%1$I to current_user; set role %%1$I; select cron.unschedule(%%2$s); reset role;',
        j.username, j.jobid
    ) as remedy
from cron.job as j
where not exists (select from pg_catalog.pg_roles as r where r.rolname = j.username);
