-- Who we say we are and the worker's settings; no row where the extension is not there.
select
    'pg_net/' || extversion,
    current_setting('pg_net.batch_size')::integer,
    current_setting('pg_net.ttl')::interval
from pg_catalog.pg_extension
where extname = 'pg_net';
