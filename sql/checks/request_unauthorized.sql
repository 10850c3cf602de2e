-- title: Request whose key is refused (401)
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- follows: secret_differs secret_malformed secret_wrong_project secret_expiring
-- Supabase's gateway refuses a key with a `message`, mostly "Invalid JWT"; an answer of another form comes from the
-- Edge Function itself. Which of the two is known for as long as pg_net keeps the answer, some hours. An error until the
-- key or the URL is changed, and information then, until the next answer.
select
    max(level) filter (where age = 1) as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP 401 to %%s of its newest %%s requests, the last of them sent at %%s: %%s',
        count(*) filter (where status_code = 401), count(*),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s) || max(before) filter (where age = 1),
        case pg_catalog.bool_or(by_gateway)
            when true then pg_catalog.format('the gateway says "%%s"', max(message))
            when false then 'the function itself refuses the key'
            else 'no record shows any more who refused'
        end) as evidence,
    case
        when max(level) filter (where age = 1) = 'info' then 'The next request shows whether the change helped.'
        when not pg_catalog.bool_or(by_gateway)
            then 'Let the function accept this key, or store the one that it expects (docs/guides/keys.md).'
        when %(legacy_key)s::boolean
            then 'The key is another project''s, has expired, or legacy keys are off: bubble-sync key rotate.'
        else 'The gateway demands a JWT: supabase functions deploy bubble_sync --no-verify-jwt'
            || coalesce(' --project-ref ' || nullif(%(project_ref)s::text, ''), '')
            || ', once the function checks the key itself (docs/guides/keys.md); or the key was revoked: bubble-sync key rotate.'
    end || ' Ask with the stored key: bubble-sync key probe.' as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, by_gateway boolean, message text, age bigint, level text, before text)
group by function
having pg_catalog.bool_or(status_code = 401) filter (where age = 1);
