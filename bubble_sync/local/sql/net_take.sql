-- Deleted in the transaction that stores the answers: until then everyone else still sees the rows.
with taken as (
    delete from net.http_request_queue
    where ctid = any (array(select ctid from net.http_request_queue order by id limit %(most)s))
    returning *
)
select
    id,
    method::text as method,
    url,
    -- As in pg_net, a header with a null value is dropped. Headers that are not an object raise an error, which ends
    -- each new session until the row is deleted.
    (
        select jsonb_agg(jsonb_build_array(key, value))
        from jsonb_each_text(headers)
        where value is not null
    ) as headers,
    body,
    timeout_milliseconds
from taken
order by id;
