-- title: Ledger of another stack or project
-- Another stack manages these objects: two stacks use this database, or the database is a copy of another project with its
-- ledger, secrets and jobs. `pulumi up` refuses until the operator decides. A copy names another stack and another project;
-- one statement accepts both.
with differing as (
    select change.field, change.actual, change.wanted, change.field = 'stack' as is_stack
    from pg_catalog.jsonb_to_recordset(%(ledger_changes)s::jsonb) as change (field text, actual text, wanted text)
    where change.field in ('stack', 'project_ref')
), accepted as (
    select
        pg_catalog.string_agg(
            pg_catalog.format('the %%s %%L, and this is %%L', case when is_stack then 'stack' else 'project' end, actual, wanted),
            '; and ' order by is_stack
        ) as evidence,
        pg_catalog.string_agg(pg_catalog.quote_ident(field), ', ' order by is_stack) as columns,
        pg_catalog.string_agg(pg_catalog.quote_literal(wanted), ', ' order by is_stack) as wanted,
        pg_catalog.count(*) as fields
    from differing
), listed as (
    select evidence, fields,
        case when fields > 1 then pg_catalog.format('(%%s)', columns) else columns end as columns,
        case when fields > 1 then pg_catalog.format('(%%s)', wanted) else wanted end as wanted
    from accepted
)
select
    'error' as level,
    'ledger' as object,
    'it names ' || evidence as evidence,
    'Look whether the stack''s database URL is the right one; where it is, accept it once: '
    || pg_catalog.format('update bubble_sync.ledger set %%1$s = %%2$s where %%1$s is distinct from %%2$s; and run pulumi up.',
        columns, wanted) as remedy
from listed
where fields > 0;
