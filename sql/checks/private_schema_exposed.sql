-- title: Private schema that others can use
-- The project's API must not serve the private schema, and only its owner and the monitor role, which
-- `bubble_sync.observe` declares, need access.
select
    'error' as level,
    'schema bubble_sync' as object,
    pg_catalog.format('role %%I may use the schema bubble_sync', r.rolname) as evidence,
    'Run pulumi up: it revokes every privilege on the schema.' as remedy
from pg_catalog.pg_namespace as n
cross join pg_catalog.pg_roles as r
where n.nspname = 'bubble_sync'
    and not r.rolsuper and r.rolname !~ '^pg_'
    and not pg_catalog.pg_has_role(r.oid, n.nspowner, 'member')
    and not pg_catalog.pg_has_role(r.oid, 'pg_read_all_data', 'usage')
    and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
    and not exists (
        select from pg_catalog.pg_proc as f
        where f.pronamespace = n.oid and f.proname = 'observe'
            and pg_catalog.strpos(f.prosrc, pg_catalog.format('monitor_role constant text := %%L;', r.rolname)) > 0
    )
union all
select
    'error',
    'schema bubble_sync',
    'the API serves the schema bubble_sync',
    'Take bubble_sync out of the exposed schemas in the API settings.'
from pg_catalog.pg_db_role_setting as s
cross join pg_catalog.unnest(s.setconfig) as setting
where setting like 'pgrst.db_schemas=%%' and setting ~ '\mbubble_sync\M'
group by 1;
