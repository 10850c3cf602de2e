-- title: Secret that cannot be decrypted
-- needs: vault.decrypted_secrets
-- Its row was encrypted under another root key: the database was restored, copied or branched from another project, or the
-- row was written by hand. `pulumi up` makes the secret anew; update_secret alone would fail, because it decrypts first.
select
    'error' as level,
    'secret ' || secret.name as object,
    'it is there, and this database cannot decrypt it' as evidence,
    'Run pulumi up.' as remedy
from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as secret (name text, state text)
where secret.state = 'unreadable';
