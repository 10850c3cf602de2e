-- title: Table in public without row security
-- A table of the exposed schema without row security is open to anyone with the public key (splinter 0013).
select
    'error' as level,
    'table ' || c.oid::regclass::text as object,
    pg_catalog.format('table %%s has no row security', c.oid::regclass) as evidence,
    pg_catalog.format('alter table %%s enable row level security;', c.oid::regclass) as remedy
from pg_catalog.pg_class as c
where c.oid = pg_catalog.to_regclass('public.sync_queue') and not c.relrowsecurity
    -- Views have no row security of their own.
    and c.relkind in ('r', 'p');
