-- title: Extension that is not installed
-- follows: cron_database_other extension_unavailable ledger_missing net_schema_bare
-- Without pg_cron nothing calls the functions, without pg_net they cannot send, and without supabase_vault they have no key.
-- Dropping pg_cron deletes all jobs of the database, and dropping supabase_vault all secrets; `pulumi up` restores ours.
-- The extension of Vault is supabase_vault: `create extension vault`, as in some guides, fails.
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
