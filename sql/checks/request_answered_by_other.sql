-- title: Request that something else than the function answers
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- follows: secret_differs secret_wrong_project
-- The status is 2xx and the body is no JSON: a log-in page, a page of a web server, a text. pg_net follows redirects, so that
-- it may come from another address than the one that was asked.
select
    max(level) filter (where age = 1) as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP %%s to %%s of its newest %%s requests without JSON, the last of them sent at %%s: %%s',
        max(status_code) filter (where age = 1), count(*) filter (where verdict = 'not the function''s answer'), count(*),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s) || max(before) filter (where age = 1),
        coalesce(nullif(max(quote) filter (where age = 1), ''), 'the body is not on record any more')) as evidence,
    pg_catalog.format(
        'Is %%s the project''s URL? Where it is not, set bubble-sync:projectRef, then pulumi up. Where it is: look who answers '
        'there with a redirect or a page, and let the function answer JSON. Its log: %%s',
        %(url)s::text, %(function_log)s::text) as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, verdict text, quote text, age bigint, level text, before text)
group by function
having pg_catalog.bool_or(verdict = 'not the function''s answer') filter (where age = 1);
