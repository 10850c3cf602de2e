-- title: Secret that is not the configured one
-- needs: vault.decrypted_secrets
-- follows: secret_empty secret_malformed secret_wrong_project
-- Vault and the configuration have different values: the secret was changed by hand, or the configuration was changed
-- without a `pulumi up`. The comparison uses salted digests.
select
    'warning' as level,
    'secret ' || secret.name as object,
    'its value in Vault is not the configured one' as evidence,
    'Where the configured one is right, run pulumi up. Where Vault''s is: pulumi config set '
    || case secret.name when %(key_secret)s::text then '--secret bubble-sync:serviceRoleKey' else 'bubble-sync:supabaseUrl' end
    as remedy
from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as secret (name text, state text)
where secret.state = 'differs'
union all
-- Without the configuration, the times alone are known: `up` records a secret in the transaction of its value.
select
    'info',
    'secret ' || secret.name,
    pg_catalog.format('it was written at %%s, after pulumi up recorded it, so whether its value is the configured one is not '
        'known here', pg_catalog.to_char(secret.written_at, %(timestamp)s)),
    'Compare it with the configuration: bubble-sync diff'
from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as secret (name text, state text, written_at timestamptz)
where secret.state = 'not known';
