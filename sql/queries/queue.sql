-- The queue table's requirements. Observed, never changed.

-- name: observe
-- One row: `missing`; `checks`, the constraints on single columns, and `labels`, the enums, that decide which values
-- an item may have.
with queue as (
    select c.oid, c.relkind, pg_catalog.pg_get_userbyid(c.relowner) = current_user as mine
    from pg_catalog.pg_class as c
    where c.oid = pg_catalog.to_regclass('public.sync_queue')
), wanted_column (name, types) as (
    -- S is any kind of text, E an enum; no list: any type will do.
    values
        ('id', null), ('record_id', null),
        ('operation', '{S,E}'), ('status', '{S,E}'), ('error_message', '{S}'),
        ('created_at', '{timestamp with time zone}'), ('processed_at', '{timestamp with time zone}'),
        ('next_retry_at', '{timestamp with time zone}'),
        ('retry_count', '{smallint,integer,bigint}'), ('max_retries', '{smallint,integer,bigint}')
), actual_column as (
    -- A domain counts as the type that it is over.
    select a.attname, a.attnum, t.oid as atttypid, t.typcategory::text as category,
        pg_catalog.format_type(t.oid, null) as type,
        -- Such a value has no comparison with a word, which every function of the sync makes.
        declared.typtype = 'd' and t.typtype = 'e' as incomparable
    from queue
    join pg_catalog.pg_attribute as a on a.attrelid = queue.oid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type as declared on declared.oid = a.atttypid
    join pg_catalog.pg_type as t on t.oid = coalesce(nullif(declared.typbasetype, 0), declared.oid)
), finding (text) as (
    select 'table public.sync_queue' where not exists (select from queue)
    union all
    select pg_catalog.format('table public.sync_queue (it is a %s)', kind.name)
    from queue
    join (values ('v', 'view'), ('m', 'materialized view'), ('f', 'foreign table')) as kind (relkind, name)
        on kind.relkind = queue.relkind
    union all
    select pg_catalog.format(
        'column public.sync_queue.%s%s', w.name,
        case
            when a.attname is null then ''
            when a.incomparable then pg_catalog.format(' as text or enum (it is a domain over the enum %s)', a.type)
            else pg_catalog.format(' as %s (it is %s)', coalesce(nullif(pg_catalog.btrim(w.types, '{S,E}'), ''), 'text'), a.type)
        end
    )
    from queue
    cross join wanted_column as w
    left join actual_column as a on a.attname = w.name
    where a.attname is null or a.incomparable and w.types is not null
        or (w.types is not null and not array[a.type, a.category] && w.types::text[])
    union all
    select pg_catalog.format('privilege SELECT on public.sync_queue for %I', current_user)
    from queue where not pg_catalog.has_table_privilege(queue.oid, 'SELECT')
    union all
    select pg_catalog.format('row security of public.sync_queue that lets %I see the items', current_user)
    from queue where pg_catalog.row_security_active(queue.oid)
)
select
    coalesce((select pg_catalog.array_agg(text) from finding), '{}') as missing,
    coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'name', c.conname, 'column', a.attname, 'type', a.type,
            'expression', pg_catalog.pg_get_expr(c.conbin, c.conrelid)
        ) order by c.conname)
        from queue
        join pg_catalog.pg_constraint as c on c.conrelid = queue.oid and c.contype = 'c'
        join actual_column as a on c.conkey = array[a.attnum] and a.attname in ('operation', 'status')
        where queue.mine and session_user = current_user or not exists (
            -- Another role's functions, operators and domains would run as us, and so would the types that a session has given
            -- to a function of ours. A function of the server that is not immutable may run a statement of its argument.
            select from pg_catalog.pg_depend as d
            left join pg_catalog.pg_type as t on d.refclassid = 'pg_catalog.pg_type'::regclass and t.oid = d.refobjid
            where d.classid = 'pg_catalog.pg_constraint'::regclass and d.objid = c.oid
                and (d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
                    or t.typtype <> 'e')
            union all
            select from pg_catalog.regexp_matches(c.conbin::text, ':\w*funcid (\d+)', 'g') as called (id)
            join pg_catalog.pg_proc as f on f.oid = called.id[1]::oid and f.provolatile <> 'i'
        )
    ), '[]') as checks,
    coalesce((
        select pg_catalog.jsonb_object_agg(a.attname, (
            select pg_catalog.jsonb_agg(e.enumlabel) from pg_catalog.pg_enum as e where e.enumtypid = a.atttypid
        ))
        from actual_column as a
        where a.category = 'E' and a.attname in ('operation', 'status')
    ), '{}') as labels;
