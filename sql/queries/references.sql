-- References to an object, which keep the object on destroy.
-- The block in observe.sql declares `given.`.

-- name: users
-- Functions, views and triggers, other than the object itself, in whose text the word stands alone. The body of a
-- function in SQL-standard form is not in prosrc. The schema is compared by its OID, before a text is searched: of the
-- thousands of functions most are the server's own.
select 'function ' || f.oid::regprocedure::text as name
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
where f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    and case when f.prosqlbody is null then f.prosrc else pg_catalog.pg_get_functiondef(f.oid) end ~ given.pattern
    and n.nspname || '.' || f.proname <> given.itself
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    )
union all
select 'view ' || c.oid::regclass::text
from pg_catalog.pg_class as c
where c.relkind in ('v', 'm')
    and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    and pg_catalog.pg_get_viewdef(c.oid) ~ given.pattern
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
union all
select 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass::text
from pg_catalog.pg_trigger as t
where not t.tgisinternal and pg_catalog.pg_get_triggerdef(t.oid) ~ given.pattern
order by 1;

-- name: jobs
select 'job ' || coalesce(jobname::text, '(jobid ' || jobid || ')') as name
from cron.job
where command ~ given.pattern
order by 1;
