-- title: Key that expires
-- needs: vault.decrypted_secrets
-- follows: secret_differs secret_wrong_project
-- A legacy key is a JWT with an expiry. After it, the endpoint answers 401 to every request.
with key as (
    select s.name, s.state, s.expires_at, s.expires_at <= pg_catalog.now() as expired
    from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as s (name text, state text, expires_at timestamptz)
    where s.name = %(key_secret)s::text and s.expires_at < pg_catalog.now() + interval '30 days'
)
select
    case when key.expired then 'error' else 'warning' end as level,
    'secret ' || key.name as object,
    pg_catalog.format(
        '%%s on %%s', case when key.expired then 'it expired' else 'it expires' end,
        key.expires_at::date
    ) as evidence,
    'bubble-sync key rotate' as remedy
from key;
