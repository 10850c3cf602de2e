-- title: Extension in another schema
-- Hosted projects have pg_cron in pg_catalog, pg_net in extensions and supabase_vault in vault. Another schema at the time
-- of adoption is fine: our objects do not depend on it, and a move means a drop. An extension that has moved since was
-- dropped and created again, without its data; `pulumi up` refuses until the operator decides.
select
    case when moved.actual is null then 'info' else 'warning' end as level,
    'extension ' || e.extname as object,
    coalesce('it has moved ' || moved.actual, pg_catalog.format(
        'it is in the schema %%I, where hosted projects have it in %%I', n.nspname, usual.schema
    )) as evidence,
    case
        when moved.actual is null then 'Nothing: it works there, and moving it would drop what it holds.'
        else pg_catalog.format(
            'To leave it there: update bubble_sync.ledger set place = %%L where object = %%L; then run pulumi up.',
            n.nspname, 'extension ' || e.extname
        )
    end as remedy
from (values ('pg_cron', 'pg_catalog'), ('pg_net', 'extensions'), ('supabase_vault', 'vault')) as usual (name, schema)
join pg_catalog.pg_extension as e on e.extname = usual.name
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
left join pg_catalog.jsonb_to_recordset(%(extension_changes)s::jsonb) as moved (object text, field text, actual text)
    on moved.object = 'extension ' || e.extname and moved.field = 'moved'
where moved.actual is not null or n.nspname <> usual.schema;
