-- Data for an undo script only. The block in observe.sql declares `given.`.

-- name: functions
-- What makes each function again as it is, and who may execute it; `grantee` is a role or `public`.
select n.nspname || '.' || f.proname as name, f.oid::regprocedure::text as signature,
    pg_catalog.pg_get_function_identity_arguments(f.oid) as identity_arguments,
    pg_catalog.pg_get_functiondef(f.oid) as definition,
    array(
        select pg_catalog.jsonb_build_object(
            'grantee', coalesce(r.rolname, 'public'), 'passes_on', pg_catalog.bool_or(x.is_grantable)
        )
        from pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) as x
        left join pg_catalog.pg_roles as r on r.oid = x.grantee
        where x.privilege_type = 'EXECUTE' and x.grantee <> f.proowner
        group by r.rolname
        order by 1
    ) as grants
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
where n.nspname || '.' || f.proname = any (given.functions) and f.prokind in ('f', 'p')
order by f.oid;
