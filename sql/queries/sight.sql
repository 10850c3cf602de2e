-- The connecting role's access to the tables of a query, from the catalog only, so that nothing raises.

-- name: never_up
-- The first `up` makes the schema, and nothing of ours takes it away.
select pg_catalog.to_regnamespace('bubble_sync') is null as never_up;

-- name: tables
-- `filtered` is row security: no row, or some, may then mean that the role is not shown them. `left_out`: a standby has no
-- unlogged table.
select
    w.name,
    c.oid is not null as present,
    coalesce(
        pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT')
        -- The server's own views show everybody something, and some roles everything.
        and case w.name
            when 'pg_catalog.pg_settings' then pg_catalog.pg_has_role('pg_read_all_settings', 'usage')
            when 'pg_catalog.pg_stat_activity' then pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
            else true
        end, false
    ) as readable,
    coalesce(pg_catalog.row_security_active(c.oid), false) as filtered,
    coalesce(c.relpersistence = 'u', false) and pg_catalog.pg_is_in_recovery() as left_out,
    array(
        select wanted.name
        from pg_catalog.unnest(w.columns) as wanted (name)
        where not exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attname = wanted.name and not a.attisdropped
        )
    ) as lacking,
    current_user::text as role,
    pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
    pg_catalog.now() as asked_at
from (
    values
        ('public.sync_queue', array[
            'id', 'record_id', 'operation', 'status', 'created_at', 'processed_at', 'error_message', 'retry_count',
            'max_retries', 'next_retry_at'
        ]),
        ('public.user', array['_id', 'email', 'bubble_id', 'Account - Host / Landlord', 'Account - Guest']),
        ('public.account_host', array['_id', 'bubble_id']),
        ('public.account_guest', array['_id', 'bubble_id']),
        ('cron.job', array['jobid']),
        ('cron.job_run_details', array['runid']),
        ('net._http_response', array['id']),
        ('net.http_request_queue', array['id']),
        ('bubble_sync.ledger', array['object', 'recorded_at']),
        ('bubble_sync.alerts', array['posts']),
        ('vault.decrypted_secrets', array['name']),
        ('pg_catalog.pg_settings', array['name']),
        ('pg_catalog.pg_stat_activity', array['pid']),
        ('bubble_sync.dispatches', array[
            'dispatch_id', 'function', 'runid', 'waiting', 'request_id', 'sent_at', 'settled_at', 'status_code', 'error',
            'processed', 'failed', 'verdict', 'skipped', 'duration_ms'
        ])
) as w (name, columns)
left join pg_catalog.pg_namespace as n on n.nspname = pg_catalog.split_part(w.name, '.', 1)
left join pg_catalog.pg_class as c
    on c.relnamespace = n.oid and c.relname = pg_catalog.split_part(w.name, '.', 2)
    and c.relkind in ('r', 'p', 'v', 'm', 'f');
