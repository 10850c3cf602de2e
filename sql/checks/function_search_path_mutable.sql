-- title: Function with a mutable search_path
-- follows: function_overloaded function_differs
-- A function that leaves search_path to its caller can be made to run the caller's objects (splinter 0011).
select
    'warning' as level,
    pg_catalog.format('function %%s.%%s', n.nspname, f.proname) as object,
    pg_catalog.format('function %%s has no search_path of its own', f.oid::regprocedure) as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
where (n.nspname = 'bubble_sync' or n.nspname || '.' || f.proname = any(%(job_functions)s))
    and not exists (
        select from pg_catalog.unnest(f.proconfig) as setting where setting like 'search_path=%%'
    );
