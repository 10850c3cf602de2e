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
    -- A header whose value is null is left out. Headers that are no object are an error, which ends the session again
    -- and again, until somebody deletes the row: so it is with pg_net.
    (
        select jsonb_agg(jsonb_build_array(key, value))
        from jsonb_each_text(headers)
        where value is not null
    ) as headers,
    body,
    timeout_milliseconds
from taken
order by id;
