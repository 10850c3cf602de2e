-- title: Edge Function that is not reached
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- follows: secret_differs secret_wrong_project
-- There is no HTTP answer and no timeout: the name does not resolve, nothing listens, or TLS fails. Mostly the project URL
-- is wrong, its project is paused, or the database is in a container and the URL is this machine's.
select
    max(level) filter (where age = 1) as level,
    'requests of ' || function as object,
    pg_catalog.format('%%s: %%s of its newest %%s requests, the last of them sent at %%s',
        coalesce(max(error) filter (where age = 1), 'no answer'),
        count(*) filter (where verdict = 'rejected' and status_code is null), count(*),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s) || max(before) filter (where age = 1)) as evidence,
    pg_catalog.format(case
        when %(private_host)s::boolean
        then 'Does the database reach %%s? In a container, 127.0.0.1 is the container itself. Set bubble-sync:supabaseUrl to '
            'the gateway''s address in the database''s network (docs/guides/supabase-start.md), then pulumi up.'
        else 'Is %%s the project''s URL? Where it is not, set bubble-sync:projectRef, then pulumi up. Where it is: '
            'resume the project if it is paused, and look at https://status.supabase.com.'
    end, %(url)s::text) as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, verdict text, error text, age bigint, level text, before text)
group by function
having pg_catalog.bool_or(verdict = 'rejected' and status_code is null) filter (where age = 1);
