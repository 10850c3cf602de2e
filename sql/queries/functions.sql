-- Functions with everything about them that a manual change can touch.
-- The block in observe.sql declares `given.`.

-- name: observe
-- Every function of these names, so that a second signature is seen too; executors are the roles besides the owner.
select
    n.nspname || '.' || f.proname as name,
    pg_catalog.pg_get_function_arguments(f.oid) as arguments,
    pg_catalog.pg_get_function_identity_arguments(f.oid) as identity_arguments,
    pg_catalog.format_type(f.prorettype, null) as returns,
    pg_catalog.oidvectortypes(f.proargtypes) as types,
    f.prokind::text as kind,
    f.pronargs = f.pronargdefaults as callable_bare,
    f.prosrc as body,
    l.lanname as language,
    case when f.prosecdef then 'definer' else 'invoker' end as security,
    case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    coalesce(f.proconfig, '{}') as config,
    coalesce(pg_catalog.obj_description(f.oid, 'pg_proc'), '') as comment,
    pg_catalog.pg_get_userbyid(f.proowner) as owner,
    array(
        select a.name
        from (values
            (f.proisstrict, 'strict'), (f.proleakproof, 'leakproof'), (f.proretset, 'setof'),
            (f.proparallel <> 'u', 'parallel ' || case f.proparallel when 's' then 'safe' else 'restricted' end),
            (f.pronargdefaults > 0, 'parameter defaults'), (f.prosupport <> 0, 'a support function'),
            (not exists (
                select from pg_catalog.aclexplode(f.proacl) as x
                where x.privilege_type = 'EXECUTE' and x.grantee = f.proowner
            ) and f.proacl is not null, 'no EXECUTE for its owner')
        ) as a (applies, name)
        where a.applies
    ) as attributes,
    f.proowner = (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user) as mine,
    array(
        select distinct coalesce(r.rolname, 'public')::text as grantee
        from pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) as x
        left join pg_catalog.pg_roles as r on r.oid = x.grantee
        where x.privilege_type = 'EXECUTE' and x.grantee <> f.proowner
        order by 1
    ) as executors
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
join pg_catalog.pg_language as l on l.oid = f.prolang
where n.nspname || '.' || f.proname = any (given.functions)
    -- An index has the name alone.
    and f.proname = any (array(
        select pg_catalog.split_part(wanted.name, '.', -1)::name from pg_catalog.unnest(given.functions) as wanted (name)
    ))
order by f.oid;

-- name: revoke
-- From every grantee but the wanted, in the transaction that creates the function: hosted projects grant EXECUTE to their
-- API roles by name, so that revoking from PUBLIC leaves it open. Cascade, or a grantee who passed it on blocks the rest.
do $revoke$
declare
    target oid := (
        select f.oid
        from pg_catalog.pg_proc as f
        join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = {schema} and f.proname = {name}
            and pg_catalog.pg_get_function_identity_arguments(f.oid) = {arguments}
    );
    grantee text;
begin
    for grantee in
        select distinct case when x.grantee = 0 then 'public' else pg_catalog.quote_ident(r.rolname) end
        from pg_catalog.pg_proc as f
        cross join pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) as x
        left join pg_catalog.pg_roles as r on r.oid = x.grantee
        where f.oid = target and x.grantee <> f.proowner and coalesce(r.rolname <> all ({executors}::text[]), true)
    loop
        execute pg_catalog.format('revoke all on function %s from %s cascade', target::regprocedure, grantee);
    end loop;
end;
$revoke$;

-- name: definitions
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
