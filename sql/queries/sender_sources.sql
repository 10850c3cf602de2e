-- The places where senders can be defined. Used by reaching.sql.

-- name: all
-- One collation for all: the server's names have another one than texts.
select 'function' collate "C", f.oid::bigint, n.nspname::text collate "C", f.proname::text collate "C",
    (coalesce(nullif(pg_catalog.regexp_replace(
        pg_catalog.lower(pg_catalog.array_to_string(f.proargnames, '|')), '[^\w|]', '.', 'g'
    ), '') || '|', '') || '\$\d') collate "C",
    (case when f.prosqlbody is null then f.prosrc else pg_catalog.pg_get_functiondef(f.oid) end
        || coalesce(' ' || pg_catalog.pg_get_expr(f.proargdefaults, 0), '')) collate "C"
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema') and f.prokind in ('f', 'p')
    and not n.nspname || '.' || f.proname = any (given.functions)
    -- Ours that this configuration does not want.
    and not (n.nspname = 'bubble_sync' and coalesce(pg_catalog.obj_description(f.oid, 'pg_proc'), '') like 'bubble-sync: %')
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    )
union all
select 'job', j.jobid, null, j.jobname, '\$\d', j.command
from pg_catalog.jsonb_to_recordset(rows) as j (jobid bigint, jobname text, command text)
union all
-- A trigger is a call of its function with its arguments; an address among them is for something that sends.
select 'trigger', t.oid::bigint, pg_catalog.format('%I on %s', t.tgname, t.tgrelid::regclass), null, '\$\d',
    pg_catalog.format('%s.%s(''%s'') ', n.nspname, f.proname, given_to.it)
        || case when given_to.it ~ 'functions' then pg_catalog.format('http_request(''%s'')', given_to.it) else '' end
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as f on f.oid = t.tgfoid
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
cross join lateral (
    select pg_catalog.replace(
        pg_catalog.replace(pg_catalog.encode(t.tgargs, 'escape'), '''', ''), '\000', ''', '''
    ) as it
) as given_to
where not t.tgisinternal and t.tgparentid = 0
union all
select 'event trigger', e.oid::bigint, pg_catalog.quote_ident(e.evtname), null, '\$\d',
    pg_catalog.format('%s.%s()', n.nspname, f.proname)
from pg_catalog.pg_event_trigger as e
join pg_catalog.pg_proc as f on f.oid = e.evtfoid
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
union all
-- Rules and views, and defaults: those that call a function of the application's.
select case when r.rulename = '_RETURN' then 'view' else 'rule' end, r.oid::bigint,
    case when r.rulename = '_RETURN' then '' else pg_catalog.quote_ident(r.rulename) || ' on ' end || r.ev_class::regclass,
    null, '\$\d', pg_catalog.pg_get_ruledef(r.oid)
from pg_catalog.pg_rewrite as r
where exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_catalog.pg_proc'::regclass
)
union all
select 'default', a.oid::bigint, a.adrelid::regclass || '.' || pg_catalog.quote_ident(c.attname), null, '\$\d',
    pg_catalog.pg_get_expr(a.adbin, a.adrelid)
from pg_catalog.pg_attrdef as a
join pg_catalog.pg_attribute as c on c.attrelid = a.adrelid and c.attnum = a.adnum
where exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_catalog.pg_proc'::regclass
)
