-- What became of requests, for those who judge it: our log, and the answers that pg_net has and no tick has read yet.

-- name: judged
-- What an answer's status says, as `bubble_sync.settle` reads it; what its body says is for the tick that notes it.
select id, created, status_code, error_msg, content,
    case
        when timed_out or (status_code is null and error_msg ~* '^timeout') then 'timed out'
        when status_code between 200 and 299 then 'ok'
        else 'rejected'
    end as verdict
from net._http_response;

-- name: newest
-- The newest twenty answered requests of each function, `age` 1 the newest. An answer that pg_net has and no tick has
-- read yet counts, without what its body says. Of the newest one, who answered: the gateway writes a `message`.
with newest as materialized (
    select * from bubble_sync.dispatches order by dispatch_id desc limit 1000
), answered as (
    select n.function, n.sent_at, n.settled_at is not null as settled, n.processed, n.failed, r.content,
        pg_catalog.row_number() over (partition by n.function order by n.dispatch_id desc) as age,
        coalesce(n.status_code, r.status_code) as status_code,
        coalesce(n.error, pg_catalog.left(r.error_msg, 500)) as error,
        coalesce(n.verdict, r.verdict) as verdict
    from newest as n
    left join (
        -- include: outcomes judged
    ) as r on r.id = n.request_id and r.created >= n.sent_at - interval '1 minute'
    where n.settled_at is not null or r.id is not null
)
select function, sent_at, settled, processed, failed, age, status_code, error, verdict,
    case when age = 1 then content ~ '"message"\s*:' and content !~ '"(success|error)"\s*:' end as by_gateway,
    case when age = 1 then pg_catalog.substring(content, '"message"\s*:\s*"([^"]{1,80})') end as said
from answered
where age <= 20;
