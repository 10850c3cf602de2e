-- A table of the exposed schema without row security is open to whoever holds the public key (splinter 0013).
select
    'table_without_row_security' as name,
    'Table in public without row security' as title,
    'error' as level,
    pg_catalog.format('table %s has no row security', c.oid::regclass) as detail,
    pg_catalog.format('alter table %s enable row level security;', c.oid::regclass) as remediation
from pg_catalog.pg_class as c
where c.oid = pg_catalog.to_regclass('public.sync_queue') and not c.relrowsecurity;
