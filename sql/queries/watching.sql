-- How the connecting role may read a stack: as the owner of its ledger, or through bubble_sync.observe.

-- name: way
-- From the catalog alone: to_regprocedure raises for a schema that one may not use. No owner where there is no ledger.
select
    current_user::text as role,
    (
        select pg_catalog.pg_get_userbyid(c.relowner)
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'bubble_sync' and c.relname = 'ledger'
    ) as owner,
    exists (
        select from pg_catalog.pg_namespace as n
        where n.nspname = 'bubble_sync' and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    ) as may_use,
    (
        select pg_catalog.has_function_privilege(f.oid, 'EXECUTE')
        from pg_catalog.pg_proc as f
        join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = 'bubble_sync' and f.proname = 'observe' and pg_catalog.oidvectortypes(f.proargtypes) = 'text'
            and f.prorettype = 'pg_catalog.jsonb'::pg_catalog.regtype
    ) as may_observe;

-- name: observe
select bubble_sync.observe(%(salt)s::text) as answer;
