-- Public facts of a stored secret, for the doctor. The value never leaves the server.

-- name: looks
-- Nothing here raises for whatever text is stored: an error message would quote it into the server's log. So the claims
-- of a JWT are found in its text, and its bytes are made text by `escape`, which takes any.
with stored as (
    select decrypted_secret as value, pg_catalog.split_part(decrypted_secret, '.', 2) as middle
    from vault.decrypted_secrets
    where name = %(name)s
), opened as (
    select value, case
        when value ~ '^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$' and pg_catalog.length(middle) %% 4 <> 1
        then pg_catalog.encode(pg_catalog.decode(
            pg_catalog.translate(middle, '-_', '+/')
            || pg_catalog.repeat('=', (4 - pg_catalog.length(middle) %% 4) %% 4), 'base64'
        ), 'escape')
    end as claims
    from stored
)
select
    value = '' as empty,
    value !~ '^[!-~]*$' as unprintable,
    value ~ '^["'']|["'']$' as quoted,
    value ~* '^<.*>$|your[-_ ](project|service|secret|api)' as placeholder,
    value ~ %(sendable)s as sendable,
    value ~ %(http)s as sendable_with_http,
    value ~ '^https?://[^/]+/+[^/]' as with_path,
    pg_catalog.substring(value, '^https://([a-z0-9]{8,40})\.supabase\.(?:co|in|red)/?$') as url_ref,
    pg_catalog.starts_with(value, 'sb_publishable_') as publishable,
    claims is not null as legacy,
    pg_catalog.substring(claims, '"ref"\s*:\s*"([a-z0-9]{8,40})"') as key_ref,
    pg_catalog.substring(claims, '"role"\s*:\s*"([a-z_]{1,40})"') as role,
    pg_catalog.to_timestamp(
        pg_catalog.substring(claims, '"exp"\s*:\s*([0-9]{1,11})\M')::double precision
    )::text as expires_at
from opened;
