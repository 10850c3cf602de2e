-- Privileges on the private schema and its tables: only the owner, and USAGE for the monitor role.

-- name: held
-- Every privilege on them, with the owner and the role that holds it; `harmless` is to look up names, and no more.
select n.nspowner as owner, x.grantee, x.privilege_type = 'USAGE' and not x.is_grantable as harmless
from pg_catalog.pg_namespace as n, pg_catalog.aclexplode(n.nspacl) as x
where n.nspname = 'bubble_sync'
union all
select c.relowner, x.grantee, false
from pg_catalog.pg_class as c
join pg_catalog.unnest(array['ledger', 'dispatches', 'dispatches_dispatch_id_seq', 'alerts']) as o (name)
    on c.oid = pg_catalog.to_regclass('bubble_sync.' || o.name),
    pg_catalog.aclexplode(c.relacl) as x
union all
-- To revoke them from the table takes these back too.
select c.relowner, x.grantee, false
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'bubble_sync'
join pg_catalog.pg_attribute as a on a.attrelid = c.oid, pg_catalog.aclexplode(a.attacl) as x
where c.relname in ('ledger', 'dispatches', 'alerts');

-- name: revoke
-- From every role but the owner, whatever default privileges have given. A wanted role gets USAGE back, if it had more.
do $revoke$
declare
    relations constant regclass[] := array(
        select pg_catalog.to_regclass('bubble_sync.' || o.name)
        from pg_catalog.unnest(array['ledger', 'dispatches', 'dispatches_dispatch_id_seq', 'alerts']) as o (name)
        where pg_catalog.to_regclass('bubble_sync.' || o.name) is not null
    );
    relation regclass;
    held record;
begin
    for held in
        select case when g.grantee = 0 then 'public' else g.grantee::regrole::text end as grantee,
            coalesce('grant usage on schema bubble_sync to ' || pg_catalog.quote_ident(w.name), '') as back
        from (
            -- include: ledger_rights held
        ) as g
        left join pg_catalog.unnest({grantees}::text[]) as w (name) on w.name = pg_catalog.pg_get_userbyid(g.grantee)
        where g.grantee <> g.owner
        group by g.grantee, w.name
        having w.name is null or not pg_catalog.bool_and(g.harmless)
    loop
        execute pg_catalog.format('revoke all on schema bubble_sync from %s cascade', held.grantee);
        foreach relation in array relations loop
            execute pg_catalog.format('revoke all on table %s from %s cascade', relation, held.grantee);
        end loop;
        execute held.back;
    end loop;
end;
$revoke$;
