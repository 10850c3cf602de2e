-- The parts of our tables that affect writing, keeping or finding a row, from the catalog only.

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
                -- include: table_parts parts
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
