-- title: Secret that is not there
-- needs: vault.decrypted_secrets
-- follows: ledger_missing
-- The functions read URL and key from Vault by name. Without one they warn "Vault secrets not configured" and send nothing,
-- and their runs stay green.
select
    'error' as level,
    'secret ' || secret.name as object,
    'Vault has no secret of this name' as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as secret (name text, state text)
where secret.state = 'absent';
