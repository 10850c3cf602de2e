-- title: Extension that is not installed
-- follows: cron_database_other extension_unavailable ledger_missing net_schema_bare
-- Without pg_cron nothing calls the functions, without pg_net they cannot send, and without supabase_vault they have no key.
-- Dropping pg_cron took every job of the database with it, and dropping supabase_vault every secret: `pulumi up` makes ours
-- again. Vault's extension is called supabase_vault: `create extension vault`, which guides give, fails.
select
    'error' as level,
    'extension ' || wanted.name as object,
    'it is not installed' as evidence,
    'Run pulumi up.' || case wanted.name
        when 'supabase_vault' then ' (By hand: create extension supabase_vault; there is none that is called vault.)'
        else ''
    end as remedy
from pg_catalog.unnest(%(extensions)s::text[]) as wanted (name)
where not exists (select from pg_catalog.pg_extension as e where e.extname = wanted.name);
