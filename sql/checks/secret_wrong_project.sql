-- title: Secret of another project
-- needs: vault.decrypted_secrets
-- The URL and legacy keys name a project. If it is not the stack's, this database is a copy that still calls the original,
-- or the other environment's secret was pasted. Custom domains and secret keys name no project.
with secret as (
    select s.name, case s.name when %(key_secret)s::text then s.key_ref when %(url_secret)s::text then s.url_ref end as ref
    from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as s (name text, url_ref text, key_ref text)
)
select
    'error' as level,
    'secret ' || secret.name as object,
    pg_catalog.format('it is of the project %%s, and this stack''s is %%s', secret.ref, %(project_ref)s::text) as evidence,
    'Look whether the stack''s database URL is the right one; if so, run pulumi up.' as remedy
from secret
where secret.ref <> %(project_ref)s::text and %(project_ref)s::text <> '';
