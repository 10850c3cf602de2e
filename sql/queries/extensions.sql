-- Installed extensions: version and schema are the server's business, presence is ours.
-- The block in observe.sql declares `given.`.

-- name: observe
select e.extname::text as name, e.extversion as version, n.nspname as schema
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = any (given.extensions);
