-- title: Extension that is older than the server's files
-- After an upgrade of the server, an extension keeps its old SQL objects until it is updated. pg_cron's new library has been
-- seen to mangle job names and to crash over old objects (citusdata/pg_cron#209, #249).
select
    case e.extname when 'pg_cron' then 'warning' else 'info' end as level,
    'extension ' || e.extname as object,
    pg_catalog.format('version %%s is installed, and the server has %%s', e.extversion, a.default_version) as evidence,
    pg_catalog.format('alter extension %%I update;', e.extname)
    || ' Where a hosted project refuses that: Settings -> Infrastructure -> Upgrade project.' as remedy
from pg_catalog.pg_extension as e
join pg_catalog.pg_available_extensions as a on a.name = e.extname
where e.extname = any (%(extensions)s::text[]) and e.extversion <> a.default_version;
