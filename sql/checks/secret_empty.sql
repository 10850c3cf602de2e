-- title: Secret that is empty
-- needs: vault.decrypted_secrets
-- The functions treat an empty secret as missing: they warn and send nothing.
select
    'error' as level,
    'secret ' || secret.name as object,
    'it is there, and its value is empty' as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as secret (name text, empty boolean)
where secret.empty;
