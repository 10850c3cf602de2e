-- The private schema `bubble_sync` and its ledger of made or adopted objects, written in the transaction of each object.

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
        -- include: ledger_rights held
    ) as g
    where g.grantee <> g.owner
)
select
    pg_catalog.to_regclass('bubble_sync.ledger') is not null as present,
    array(select distinct grantee from privilege order by grantee) as grantees,
    array(select grantee from privilege group by grantee having pg_catalog.bool_and(harmless) order by grantee) as users;

-- name: rows
-- Through JSON a column that is not there is null, and no error: a ledger that 0.1.0 made has no `place` and no `claim`. A
-- table of others that has the name has no row of ours.
select row.value->>'object' as object, row.value->>'stack' as stack, coalesce(row.value->>'project_ref', '') as project_ref,
    row.value->>'origin' as origin, row.value->>'recorded_at' as recorded_at, coalesce(row.value->>'place', '') as place,
    coalesce(row.value->>'claim', '') as claim
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

-- name: record_claim
-- Which resource manages the object. `alter table` waits for every reader even where the column is there already.
do $claim$
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'bubble_sync.ledger'::regclass and attname = 'claim' and not attisdropped
    ) then
        alter table bubble_sync.ledger add column claim text;
    end if;
end;
$claim$;
update bubble_sync.ledger set claim = {claim} where object = {object};

-- name: move
update bubble_sync.ledger set stack = %(stack)s, project_ref = nullif(%(project_ref)s, '') where object = %(object)s;

-- name: forget
delete from bubble_sync.ledger where object = %(object)s returning object;
