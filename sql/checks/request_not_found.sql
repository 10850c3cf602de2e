-- title: Request that finds no function (404)
-- needs: bubble_sync.dispatches net._http_response
-- only: dispatch_log
-- follows: secret_differs secret_wrong_project
-- No Edge Function bubble_sync is deployed at the project URL, or the function itself says that something is not
-- there. Which of the two is known for as long as pg_net keeps the answer, some hours: the gateway's has a `message`.
select
    max(level) filter (where age = 1) as level,
    'requests of ' || function as object,
    pg_catalog.format('HTTP 404 to %%s of its newest %%s requests, the last of them sent at %%s%%s',
        count(*) filter (where status_code = 404), count(*),
        pg_catalog.to_char(max(sent_at) filter (where age = 1), %(timestamp)s) || max(before) filter (where age = 1),
        case when not pg_catalog.bool_or(by_gateway) then ': the function itself says so' else '' end) as evidence,
    case
        when not pg_catalog.bool_or(by_gateway) then
            'Deploy a function that knows the actions process_queue_data_api and retry_failed. Its log: '
            || %(function_log)s::text
        else pg_catalog.format('supabase functions deploy bubble_sync%%1$s; then see it in supabase functions list%%1$s',
            coalesce(' --project-ref ' || nullif(%(project_ref)s::text, ''), ''))
    end as remedy
from pg_catalog.jsonb_to_recordset(%(requests)s::jsonb)
    as request (function text, sent_at timestamptz, status_code integer, by_gateway boolean, age bigint, level text, before text)
group by function
having pg_catalog.bool_or(status_code = 404) filter (where age = 1);
