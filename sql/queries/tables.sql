-- The optional tables next to the ledger: their definition, and their actual parts. Columns are added one by one, so that a
-- dropped one is restored.

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
-- One row: what the alerts have seen, and when each was last posted. No text of an item is in it.
create table if not exists bubble_sync.alerts ();
alter table bubble_sync.alerts
    add column if not exists only_row boolean primary key default true check (only_row),
    add column if not exists failed bigint,
    add column if not exists failed_items bigint not null default 0,
    add column if not exists newly_failed bigint not null default 0,
    add column if not exists depths bigint[] not null default '{}',
    add column if not exists last_rejected bigint not null default 0,
    add column if not exists failures_told timestamptz not null default '-infinity',
    add column if not exists growing_told timestamptz not null default '-infinity',
    add column if not exists oldest_told timestamptz not null default '-infinity',
    add column if not exists rejected_told timestamptz not null default '-infinity',
    add column if not exists daily_told timestamptz not null default now(),
    add column if not exists weekly_told timestamptz not null default now();
comment on table bubble_sync.alerts is 'bubble-sync: what the alerts have seen, and when each was last posted';

-- name: state
-- No row where there is no such relation.
select
    c.relname::text as name,
    case when c.relispartition then 'partition' else c.relkind::text end as kind,
    pg_catalog.pg_get_userbyid(c.relowner) as owner,
    c.relowner = (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user) as mine,
    (
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(part.kind, part.name, part.text)
            order by part.kind, part.name, part.text)
        from (
            -- include: table_parts parts
        ) as part
        where part.relation = c.oid
    ) as parts
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'bubble_sync' and c.relname in ('ledger', 'dispatches', 'alerts');
