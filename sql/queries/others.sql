-- Blocking sessions. pg_locks shows all locks to all roles; pg_stat_activity hides other roles' sessions from roles without
-- pg_read_all_stats. Only the first word of a statement is read, never a literal.

-- name: holders
-- Who holds, or waits for, a lock on what bubble-sync reads and changes that keeps others away. `relation` is the table of
-- the row that was waited for, where the server has named it: a lock on a row shows in no row of pg_locks.
with ours as (
    select c.oid, n.nspname || '.' || c.relname as name, c.relname
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_index as i on i.indexrelid = c.oid
    where c.relname = %(relation)s::text
        or n.nspname in ('bubble_sync', 'cron', 'net', 'vault', 'pg_catalog')
        or coalesce(i.indrelid, c.oid) = any (array[
            pg_catalog.to_regclass('public.sync_queue'), pg_catalog.to_regclass('public."user"'),
            pg_catalog.to_regclass('public.account_host'), pg_catalog.to_regclass('public.account_guest')
        ])
), held as (
    select l.pid, l.granted,
        coalesce(
            ours.name,
            case l.locktype when 'object' then pg_catalog.pg_describe_object(l.classid, l.objid, 0) end,
            'changes of bubble-sync'
        ) as object,
        l.mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock') as strong
    from pg_catalog.pg_locks as l
    left join ours on ours.oid = l.relation
    where l.pid <> pg_catalog.pg_backend_pid()
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
        and case
            when l.locktype = 'advisory' then l.granted and l.objsubid = 1
                and (l.classid::bigint << 32) | l.objid::bigint = pg_catalog.hashtextextended('bubble-sync', 0)
            when l.locktype = 'object' then coalesce(%(relation)s::text, 'pg_') like 'pg\_%%' and l.mode <> 'AccessShareLock'
                and l.classid = any (array[
                    'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_namespace'::pg_catalog.regclass,
                    'pg_catalog.pg_extension'::pg_catalog.regclass
                ])
            -- A vacuum's lock keeps no row from anyone.
            when ours.relname = %(relation)s::text then l.mode not in ('AccessShareLock', 'ShareUpdateExclusiveLock')
            when %(relation)s::text is null then l.mode in (
                'AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock'
            ) and ours.oid is not null
            else false
        end
)
select first.pid, first.object, pg_catalog.pg_blocking_pids(first.pid) as waits_for,
    activity.application_name as application, activity.usename as role, activity.xact_start as since,
    pg_catalog.upper(pg_catalog.substring(activity.query, '^\s*([A-Za-z]+)')) as command
from (
    select distinct on (held.pid) held.pid, held.object from held
    order by held.pid, held.granted desc, held.strong desc, held.object
) as first
left join pg_catalog.pg_stat_activity as activity on activity.pid = first.pid
order by activity.xact_start
limit 3;

-- name: changer
-- Who has changed a row of a catalog: most such commands keep no lock on the catalog, so the row itself must tell.
select l.pid, %(relation)s::text as object, pg_catalog.pg_blocking_pids(l.pid) as waits_for,
    activity.application_name as application, activity.usename as role, activity.xact_start as since,
    pg_catalog.upper(pg_catalog.substring(activity.query, '^\s*([A-Za-z]+)')) as command
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as activity on activity.pid = l.pid
where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
    and l.transactionid = (select changed.xmax from pg_catalog.{catalog} as changed where changed.ctid = %(tuple)s::tid);

-- name: changing
-- Other sessions in a transaction, now or a moment ago, which may have won a race.
select activity.pid, activity.application_name as application, activity.usename as role, activity.xact_start as since,
    pg_catalog.upper(pg_catalog.substring(activity.query, '^\s*([A-Za-z]+)')) as command
from pg_catalog.pg_stat_activity as activity
where activity.pid <> pg_catalog.pg_backend_pid()
    and activity.datname = pg_catalog.current_database()
    and activity.backend_type in ('client backend', 'pg_cron')
    and coalesce(activity.xact_start, activity.state_change) > pg_catalog.clock_timestamp() - interval '5 seconds'
order by coalesce(activity.xact_start, activity.state_change) desc
limit 3;
