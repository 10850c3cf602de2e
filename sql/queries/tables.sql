-- The tables in the private schema: definitions, actual parts from the catalog, and repairs. Columns are added one by one,
-- so that a dropped one is restored.

-- name: dispatches
-- The dispatch log: one row for each request that a function of ours made, and what became of it. No name of a secret, no
-- header and no body is ever in it.
create table if not exists bubble_sync.dispatches ();
alter table bubble_sync.dispatches
    add column if not exists dispatch_id bigint generated always as identity primary key,
    add column if not exists function text not null default '',
    add column if not exists runid bigint,
    add column if not exists waiting integer not null default 0,
    add column if not exists request_id bigint not null default 0,
    add column if not exists sent_at timestamptz not null default clock_timestamp(),
    add column if not exists skipped integer not null default 0,
    add column if not exists settled_at timestamptz,
    add column if not exists status_code integer,
    add column if not exists duration_ms integer,
    add column if not exists error text,
    add column if not exists processed integer,
    add column if not exists failed integer,
    add column if not exists verdict text check (verdict in (
        'ok', 'answered', 'partial', 'refused by its body', 'not the function''s answer', 'rejected', 'timed out', 'lost'
    ));
create index if not exists dispatches_outstanding on bubble_sync.dispatches (dispatch_id) where settled_at is null;
create index if not exists dispatches_sent_at on bubble_sync.dispatches (sent_at);
comment on table bubble_sync.dispatches is 'bubble-sync: what was sent to the Edge Function, and what became of it';

-- name: alerts
-- One row: what the alerts have seen, when each was last posted, and the posts without an answer. No text of an item and no
-- secret is in it.
create table if not exists bubble_sync.alerts ();
alter table bubble_sync.alerts
    add column if not exists only_row boolean primary key default true check (only_row),
    add column if not exists failed bigint,
    add column if not exists failed_items bigint not null default 0,
    add column if not exists newly_failed bigint not null default 0,
    add column if not exists failed_before bigint not null default 0,
    add column if not exists depths bigint[] not null default '{}',
    add column if not exists last_rejected bigint not null default 0,
    add column if not exists holding text[] not null default '{}',
    add column if not exists posts jsonb not null default '{}',
    add column if not exists failures_told timestamptz not null default '-infinity',
    add column if not exists growing_told timestamptz not null default '-infinity',
    add column if not exists oldest_told timestamptz not null default '-infinity',
    add column if not exists rejected_told timestamptz not null default '-infinity',
    add column if not exists pause_told timestamptz not null default '-infinity',
    add column if not exists daily_told timestamptz not null default now(),
    add column if not exists weekly_told timestamptz not null default now();
comment on table bubble_sync.alerts is 'bubble-sync: what the alerts have seen, and when each was last posted';

-- name: state
-- No row where there is no such relation.
select
    c.relname::text as name,
    n.nspname::text as schema,
    case when c.relispartition then 'partition' else c.relkind::text end as kind,
    pg_catalog.pg_get_userbyid(c.relowner) as owner,
    c.relowner = (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user) as mine,
    (
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(part.kind, part.name, part.text)
            order by part.kind, part.name, part.text)
        from (
            -- include: tables parts
        ) as part
        where part.relation = c.oid
    ) as parts
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'bubble_sync' and c.relname in ('ledger', 'dispatches', 'alerts');

-- name: drop_alerts
drop table if exists bubble_sync.alerts;

-- name: drop_alerts_of_no_function
do $forget$
begin
    if pg_catalog.to_regprocedure('bubble_sync.alert()') is null then
        drop table if exists bubble_sync.alerts;
    end if;
end;
$forget$;

-- name: parts
-- One row for each: a column as it is declared, a constraint, an index that belongs to none, what else acts on a write, and
-- what holds for the whole table.
select a.attrelid as relation, 'column' as kind, a.attname::text as name, pg_catalog.concat_ws(' ',
    pg_catalog.format_type(a.atttypid, a.atttypmod), case when t.typtype = 'd' then 'domain' end,
    case when a.attnotnull then 'not null' end,
    case
        when a.attgenerated <> '' then 'generated'
        when a.attidentity <> '' and (s.seqincrement, s.seqmin, s.seqmax, s.seqcycle) = (1, 1, 9223372036854775807, false)
            then 'identity'
        when a.attidentity <> '' then 'identity of an altered sequence'
    end,
    'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)) as text
from pg_catalog.pg_attribute as a
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_catalog.pg_depend as owned on owned.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and owned.refobjid = a.attrelid and owned.refobjsubid = a.attnum and owned.deptype = 'i'
    and owned.classid = owned.refclassid
left join pg_catalog.pg_sequence as s on s.seqrelid = owned.objid
where a.attnum > 0 and not a.attisdropped
union all
select conrelid, 'constraint', conname::text, pg_catalog.pg_get_constraintdef(oid)
from pg_catalog.pg_constraint where contype in ('c', 'f', 'p', 'u', 'x')
union all
-- A row that another table refers to cannot be deleted, and old rows of the log are.
select confrelid, 'reference', conname::text, conrelid::pg_catalog.regclass::text
from pg_catalog.pg_constraint where contype = 'f' and confdeltype in ('a', 'r')
union all
select i.indrelid, 'index', x.relname::text,
    pg_catalog.pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' invalid' end
from pg_catalog.pg_index as i
join pg_catalog.pg_class as x on x.oid = i.indexrelid
where not exists (select from pg_catalog.pg_constraint as c where c.conindid = i.indexrelid and c.conrelid = i.indrelid)
union all
select tgrelid, 'trigger', tgname::text, '' from pg_catalog.pg_trigger where not tgisinternal and tgenabled <> 'D'
union all
select ev_class, 'rule', rulename::text, '' from pg_catalog.pg_rewrite where ev_enabled <> 'D' and rulename <> '_RETURN'
union all
select inhparent, 'child', inhrelid::pg_catalog.regclass::text, '' from pg_catalog.pg_inherits
union all
select c.oid, 'property', p.name, ''
from pg_catalog.pg_class as c, (values
    ('rights of its owner', 'w'), ('write-ahead log', 'p'), ('replica identity', 'd'), ('sight of every row', 'f')
) as p (name, of)
where case p.of
    when 'p' then c.relpersistence = 'p'
    when 'd' then c.relreplident = 'd'
    when 'f' then not (c.relrowsecurity and c.relforcerowsecurity)
    else array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] <@ array(
        select x.privilege_type
        from pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) as x
        where x.grantee = c.relowner
    )
end

-- name: mend
-- Takes the steps whose part is not there, in their order.
do $mend$
declare
    step text;
    steps constant text[] := array(
        select wanted.step
        from pg_catalog.jsonb_to_recordset({steps}::jsonb) as wanted (kind text, name text, text text, step text)
        where not exists (
            select from (
                -- include: tables parts
            ) as part
            where part.relation = {relation}::pg_catalog.regclass
                and (part.kind, part.name, part.text) = (wanted.kind, wanted.name, wanted.text)
        )
    );
begin
    foreach step in array steps loop
        execute step;
    end loop;
end;
$mend$;
