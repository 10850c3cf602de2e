-- title: Privilege that the stack's role lacks
-- needs: bubble_sync.ledger:own
-- The jobs run as the role that `pulumi up` connects as. What it may not do fails at each run, or cannot be set up.
with lacking (text) as (
    select missing.text
    from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
    where missing.text like 'privilege %%'
    union all
    -- http_post writes as its caller since pg_net 0.12.
    select pg_catalog.format('privilege INSERT on net.http_request_queue for %%I', current_user)
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'net'
    where c.relname = 'http_request_queue' and not pg_catalog.has_table_privilege(c.oid, 'INSERT')
        and not exists (
            select from pg_catalog.pg_proc as f where f.pronamespace = n.oid and f.proname = 'http_post' and f.prosecdef
        )
)
select
    'error' as level,
    'role ' || current_user as object,
    'missing: ' || lacking.text as evidence,
    'As the owner: ' || pg_catalog.regexp_replace(
        pg_catalog.regexp_replace(lacking.text, ' EXECUTE on (\w+)\.\w+', ' EXECUTE on all functions in schema \1'),
        '^privilege (.*) for (.*)$', 'grant \1 to \2;'
    ) || ' Where a hosted project refuses that, ask Supabase support.' as remedy
from lacking;
