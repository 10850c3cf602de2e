-- title: Secret with a malformed value
-- needs: vault.decrypted_secrets
-- The URL must be scheme and host, with or without a final slash; the key one word, a secret key or a service_role JWT; the
-- alerts' webhook a URL with a path. Functions or endpoint reject any other value.
with secret as (
    select s.*, s.name = %(key_secret)s::text as is_key, s.name = %(url_secret)s::text as is_url
    from pg_catalog.jsonb_to_recordset(%(stored)s::jsonb) as s (
        name text, empty boolean, unprintable boolean, quoted boolean, placeholder boolean, sendable boolean,
        sendable_with_http boolean, with_path boolean, publishable boolean, role text
    )
    where not s.empty
), judged as (
    select name, case
        when unprintable then 'it holds white space, a line break or a character that none has'
        when quoted then 'it is stored with the quotes around it'
        when placeholder then 'it is the placeholder of an instruction'
        when is_url and with_path then 'it has more than scheme and host: give these two only, bubble-sync adds the path of the Edge Function'
        when is_url and not case when %(allow_http)s::boolean then sendable_with_http else sendable end
            then 'it is no URL like https://<project ref>.supabase.co'
        when is_key and publishable then 'it is a publishable key'
        when is_key and role <> 'service_role' then 'it is a key of the role ' || role
    end as wrong
    from secret
)
select
    'error' as level,
    'secret ' || judged.name as object,
    judged.wrong as evidence,
    'Run pulumi up: the configuration has another value.' as remedy
from judged
where judged.wrong is not null;
