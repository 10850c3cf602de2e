-- title: Key of the kind that Supabase removes
-- needs: vault.decrypted_secrets
-- follows: secret_differs secret_wrong_project secret_malformed
-- Supabase removes the JWT keys of hosted projects by the end of 2026. A secret key (sb_secret_...) travels in another
-- header, and the Edge Function has to check it itself: docs/guides/keys.md has the way there.
select
    'warning' as level,
    'secret ' || key.name as object,
    'it is a legacy JWT, which Supabase removes by the end of 2026' as evidence,
    'Move to a secret key, as docs/guides/keys.md says: bubble-sync key rotate' as remedy
from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as key (name text, legacy boolean)
where key.name = %(key_secret)s::text and key.legacy and not %(private_host)s::boolean;
