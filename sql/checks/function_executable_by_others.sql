-- title: Function that another role may execute
-- follows: function_overloaded
-- A role with EXECUTE on our functions can send the project's key. The server is asked about the effective privileges of
-- each role, through PUBLIC and memberships too. Roles that can become the owner are left out, and so is the monitor role
-- for `bubble_sync.observe`, which declares the role's name.
select
    'error' as level,
    pg_catalog.format('function %%s.%%s', n.nspname, f.proname) as object,
    pg_catalog.format('%%s %%s may execute %%s%%s', case count(*) when 1 then 'role' else 'roles' end,
        pg_catalog.string_agg(pg_catalog.quote_ident(r.rolname), ', ' order by r.rolname), f.oid::regprocedure,
        case when f.prosecdef then ', which runs with its owner''s rights' else '' end) as evidence,
    'Run pulumi up: it revokes EXECUTE from every role but the owner.' as remedy
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
cross join pg_catalog.pg_roles as r
where (n.nspname = 'bubble_sync' or n.nspname || '.' || f.proname = any(%(job_functions)s))
    and not r.rolsuper and r.rolname !~ '^pg_'
    and not pg_catalog.pg_has_role(r.oid, f.proowner, 'member')
    and pg_catalog.has_function_privilege(r.oid, f.oid, 'EXECUTE')
    and not (
        n.nspname = 'bubble_sync' and f.proname = 'observe'
        and pg_catalog.strpos(f.prosrc, pg_catalog.format('monitor_role constant text := %%L;', r.rolname)) > 0
    )
group by n.nspname, f.proname, f.oid, f.prosecdef;
