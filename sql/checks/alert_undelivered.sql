-- title: Alert that did not arrive
-- needs: bubble_sync.alerts
-- only: alerts
-- follows: net_worker_down secret_missing secret_empty secret_unreadable secret_malformed secret_differs
-- A destination of the alerts answers with an error, or not at all. A failed post is repeated at the next tick and then less
-- and less often, 12 times in about six hours. HTTP 300 to 499 except 408, 425 and 429 is not repeated: the URL or the key is
-- wrong or revoked. News and a changed secret begin anew. Two failed attempts in a row are not reported.
with failed as (
    select secret.name, secret.key, secret.destination = 'heartbeat' as each_tick, (post.value->>'attempts')::integer as attempts, post.value->>'at' as at,
        post.value->>'next' = 'infinity' as given_up,
        coalesce('HTTP ' || (post.value->>'status'), post.value->>'error', 'no answer') as answer
    from bubble_sync.alerts as state
    cross join pg_catalog.jsonb_each(state.posts) as post
    join pg_catalog.jsonb_to_recordset(%(alert_secrets)s::jsonb) as secret (destination text, name text, key text)
        on secret.destination = pg_catalog.split_part(post.key, '/', 1)
    where post.value ? 'attempts'
)
select
    case when pg_catalog.bool_or(given_up) then 'error' else 'warning' end as level,
    'secret ' || name as object,
    pg_catalog.format('the last post with it failed: %%s, after %%s, at %%s%%s', max(answer),
        max(attempts) || case when max(attempts) = 1 then ' attempt' else ' attempts' end,
        pg_catalog.to_char(max(at)::timestamptz, %(timestamp)s),
        case when pg_catalog.bool_or(given_up and not each_tick) then '; it is not repeated' else '' end) as evidence,
    'Set the value again if it is wrong or revoked, and run pulumi up: the next tick posts again. '
        || 'pulumi config set --secret bubble-sync:' || key as remedy
from failed
group by name, key
having pg_catalog.bool_or(given_up) or max(attempts) >= 3;
