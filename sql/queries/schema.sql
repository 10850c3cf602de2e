-- The owner of the schema `bubble_sync`: us, or an application that used the name before.

-- name: observe
-- One row where there is such a schema. It is ours with our ledger in it, with our comment, or with anything that has a
-- comment of ours; and one that nobody uses is free. `ledger` is false for a relation of that name that is no ledger of ours.
with schema as (
    select n.oid, n.nspowner, n.nspacl, pg_catalog.obj_description(n.oid, 'pg_namespace') as comment
    from pg_catalog.pg_namespace as n
    where n.nspname = 'bubble_sync'
), held as (
    select c.relname::text as name, pg_catalog.obj_description(c.oid, 'pg_class') as comment
    from pg_catalog.pg_class as c join schema on c.relnamespace = schema.oid
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c', 'S')
    union all
    select f.proname, pg_catalog.obj_description(f.oid, 'pg_proc')
    from pg_catalog.pg_proc as f join schema on f.pronamespace = schema.oid
    union all
    select t.typname, pg_catalog.obj_description(t.oid, 'pg_type')
    from pg_catalog.pg_type as t join schema on t.typnamespace = schema.oid
    where t.typtype in ('d', 'e', 'r')
), ledger as (
    select c.oid, (
        select pg_catalog.array_agg(a.attname::text)
        from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
    from pg_catalog.pg_class as c join schema on c.relnamespace = schema.oid
    where c.relname = 'ledger' and c.relkind in ('r', 'p', 'v', 'm', 'f')
), known as (
    select (select ledger.columns @> array['object', 'stack', 'origin'] from ledger) as ledger
)
select
    pg_catalog.pg_get_userbyid(schema.nspowner) as owner,
    schema.nspowner = (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user) as mine,
    current_user::text as role,
    array['USAGE', 'CREATE'] <@ array(
        select x.privilege_type
        from pg_catalog.aclexplode(coalesce(schema.nspacl, pg_catalog.acldefault('n', schema.nspowner))) as x
        where x.grantee = schema.nspowner
    ) as usable,
    coalesce(schema.comment, '') as comment,
    coalesce(known.ledger, true) as ledger,
    coalesce(known.ledger, false) or coalesce(schema.comment, '') like 'bubble-sync: %'
        or exists (select from held where held.comment like 'bubble-sync: %')
        or (not exists (select from held) and schema.comment is null and not exists (
            select from pg_catalog.aclexplode(schema.nspacl) as x where x.grantee <> schema.nspowner
        )) as ours,
    array(select distinct held.name from held order by 1 limit 3) as holds
from schema, known;
