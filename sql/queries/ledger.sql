-- The private schema `bubble_sync`, its privileges, and its ledger of made or adopted objects, written in the transaction
-- of each object.

-- name: create
create schema if not exists bubble_sync;
grant all on schema bubble_sync to current_user;
create table if not exists bubble_sync.ledger (
    object text primary key,
    stack text not null,
    project_ref text,
    origin text not null check (origin in ('made', 'adopted')),
    recorded_at timestamptz not null default now(),
    place text,
    claim text
);
comment on schema bubble_sync is 'bubble-sync: private objects of the sync';
comment on table bubble_sync.ledger is 'bubble-sync: which objects each stack made or adopted';

-- name: state
-- `grantees` are the roles, other than the owner, that hold any privilege on schema or tables; 0 is PUBLIC. `users` are
-- those of them that may look up names in the schema, and no more.
with privilege as (
    select coalesce(pg_catalog.pg_get_userbyid(nullif(g.grantee, 0)), 'public') as grantee, g.harmless
    from (
        -- include: ledger held
    ) as g
    where g.grantee <> g.owner
)
select
    pg_catalog.to_regclass('bubble_sync.ledger') is not null as present,
    array(select distinct grantee from privilege order by grantee) as grantees,
    array(select grantee from privilege group by grantee having pg_catalog.bool_and(harmless) order by grantee) as users;

-- name: rows
-- Through JSON a column that is not there is null, and no error: a ledger that 0.1.0 made has no `place`, `claim` or
-- `settings`. A table of others that has the name has no row of ours.
select row.value->>'object' as object, row.value->>'stack' as stack, coalesce(row.value->>'project_ref', '') as project_ref,
    row.value->>'origin' as origin, row.value->>'recorded_at' as recorded_at, coalesce(row.value->>'place', '') as place,
    coalesce(row.value->>'claim', '') as claim, coalesce(row.value->>'settings', '') as settings
from (select pg_catalog.to_jsonb(ledger) as value from bubble_sync.ledger) as row
where row.value operator(pg_catalog.?&) array['object', 'stack', 'origin'];

-- name: record
insert into bubble_sync.ledger as row (object, stack, project_ref, origin)
select %(object)s::text, %(stack)s::text, nullif(%(project_ref)s, '')::text, %(origin)s::text
where %(there)s
on conflict (object) do update
set stack = excluded.stack, project_ref = coalesce(excluded.project_ref, row.project_ref), origin = excluded.origin,
    recorded_at = pg_catalog.now();

-- name: record_place
-- Of an extension, the schema in which it was made or found.
alter table bubble_sync.ledger add column if not exists place text;
update bubble_sync.ledger set place = {place} where object = {object};

-- name: record_text
-- In a column that a ledger of an earlier version lacks: `claim`, which resource manages the object, or `settings`.
-- `alter table` waits for every reader even where the column is there already.
do $column$
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'bubble_sync.ledger'::regclass and attname = {name} and not attisdropped
    ) then
        alter table bubble_sync.ledger add column {column} text;
    end if;
end;
$column$;
update bubble_sync.ledger set {column} = {value} where object = {object};

-- name: schemas
-- The private schema of each set-up in the database.
select n.nspname as schema
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relname = 'ledger' and c.relkind in ('r', 'p')
    and (
        n.nspname = 'bubble_sync'
        or pg_catalog.obj_description(c.oid, 'pg_class') = 'bubble-sync: which objects each stack made or adopted'
    )
order by n.nspname;

-- name: move
update bubble_sync.ledger set stack = %(stack)s, project_ref = nullif(%(project_ref)s, '') where object = %(object)s;

-- name: forget
delete from bubble_sync.ledger where object = %(object)s returning object;

-- name: relations
pg_catalog.unnest(array[
    'ledger', 'dispatches', 'dispatches_dispatch_id_seq', 'alerts', 'wake_closed_until', 'wake_errors'
]) as o (name)

-- name: held
-- Every privilege on them, with the owner and the role that holds it; `harmless` is to look up names, and no more.
select n.nspowner as owner, x.grantee, x.privilege_type = 'USAGE' and not x.is_grantable as harmless
from pg_catalog.pg_namespace as n, pg_catalog.aclexplode(n.nspacl) as x
where n.nspname = 'bubble_sync'
union all
select c.relowner, x.grantee, false
from pg_catalog.pg_class as c
join
    -- include: ledger relations
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
        from
            -- include: ledger relations
        where pg_catalog.to_regclass('bubble_sync.' || o.name) is not null
    );
    relation regclass;
    held record;
begin
    for held in
        select case when g.grantee = 0 then 'public' else g.grantee::regrole::text end as grantee,
            coalesce('grant usage on schema bubble_sync to ' || pg_catalog.quote_ident(w.name), '') as back
        from (
            -- include: ledger held
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

-- name: schema
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
), judged as materialized (
    select
        coalesce(known.ledger, true) as ledger,
        coalesce(known.ledger, false) or coalesce(schema.comment, '') like 'bubble-sync: %'
            or exists (select from held where held.comment like 'bubble-sync: %')
            or (not exists (select from held) and schema.comment is null and not exists (
                select from pg_catalog.aclexplode(schema.nspacl) as x where x.grantee <> schema.nspowner
            )) as ours
    from schema, known
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
    judged.ledger,
    judged.ours,
    -- For a refusal alone: finding it takes longer than the rest.
    case when judged.ours then '{}' else array(select distinct held.name from held order by 1 limit 3) end as holds
from schema, judged;
