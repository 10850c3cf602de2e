-- What may still carry the earlier key after Vault has the new one.

-- name: now
select pg_catalog.clock_timestamp() as now;

-- name: statements
-- Statements that may have read the earlier key. Other workers, pg_net's among them, may be active for ever.
select pg_catalog.count(*)::integer as remaining
from pg_catalog.pg_stat_activity
where datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()
    and backend_type in ('client backend', 'pg_cron') and state = 'active' and query_start < %(since)s;

-- name: last_request
select coalesce(pg_catalog.max(id), 0) as last from net.http_request_queue;

-- name: requests
-- pg_net deletes a request in the transaction that stores its answer.
select pg_catalog.count(*)::integer as remaining from net.http_request_queue where id <= %(last)s;
