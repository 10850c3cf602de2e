-- title: Schema net without pg_net
-- A schema of this name without its extension keeps pg_net from being installed, and has sent its worker into a loop of
-- crashes (supabase/pg_net#264).
select
    'error' as level,
    'extension pg_net' as object,
    'it is not installed, and there is a schema net, owned by ' || pg_catalog.pg_get_userbyid(n.nspowner) as evidence,
    'Look what is in it, then: alter schema net rename to net_before; and run pulumi up.' as remedy
from pg_catalog.pg_namespace as n
where n.nspname = 'net' and not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net');
