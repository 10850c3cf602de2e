-- Requirements of the server and the connecting role. What the role cannot see is unknown, not missing.

-- name: observe
-- One row: `missing`.
with wanted_extension (name, sign) as (
    -- A preloaded library announces itself by its settings, some of which only pg_monitor may read.
    values ('pg_cron', 'cron.database_name'), ('pg_net', 'pg_net.ttl'), ('supabase_vault', 'vault.getkey_script')
), relation_privilege (name, privilege) as (
    values ('cron.job', 'SELECT'), ('vault.secrets', 'SELECT'), ('vault.secrets', 'DELETE'),
        ('vault.decrypted_secrets', 'SELECT')
), finding (text) as (
    select pg_catalog.format('extension %s, available on the server', w.name)
    from wanted_extension as w
    where not exists (select from pg_catalog.pg_available_extensions as e where e.name = w.name)
    union all
    select pg_catalog.format('extension %s in shared_preload_libraries', w.name)
    from wanted_extension as w
    where case
        -- Vault before 0.3 has no library of its own.
        when w.name = 'supabase_vault' and exists (
            select from pg_catalog.pg_available_extensions as e
            where e.name = w.name and coalesce(e.installed_version, e.default_version) ~ '^0\.[12]\.'
        ) then false
        when not pg_catalog.pg_has_role(current_user, 'pg_read_all_settings', 'usage') then false
        -- Without its library, a line left in postgresql.conf is a setting that no view shows.
        when w.name = 'pg_cron' then not exists (select from pg_catalog.pg_settings as s where s.name = w.sign)
        else pg_catalog.current_setting(w.sign, true) is null
    end
    union all
    select pg_catalog.format('database %I, where %s (this is %I)', s.setting, w.what, current_database())
    from pg_catalog.pg_settings as s
    join (values ('cron.database_name', 'pg_cron runs its jobs'), ('pg_net.database_name', 'pg_net sends'))
        as w (name, what) on w.name = s.name
    where s.setting <> current_database()
    union all
    select 'setting cron.launch_active_jobs on (it is off, so that pg_cron starts no job)'
    from pg_catalog.pg_settings as s
    where s.name = 'cron.launch_active_jobs' and s.setting = 'off'
    union all
    select 'a writable server (this one is read-only)'
    where pg_catalog.pg_is_in_recovery() or exists (
        -- Through bubble_sync.observe, what the reader's own role is set to says nothing about the owner.
        select from pg_catalog.pg_settings as s
        where s.name = 'default_transaction_read_only' and s.setting = 'on' and (
            session_user = current_user or s.source in ('default', 'configuration file', 'command line', 'database')
        )
    )
    union all
    select pg_catalog.format('privilege %s on schema %I for %I', p.privilege, n.nspname, current_user)
    from pg_catalog.pg_namespace as n
    cross join (values ('USAGE'), ('CREATE')) as p (privilege)
    where (n.nspname in ('public', 'bubble_sync') or (n.nspname in ('cron', 'net', 'vault') and p.privilege = 'USAGE'))
        and not pg_catalog.has_schema_privilege(n.oid, p.privilege)
        -- Whose our own schema is gives itself what it lacks.
        and not (n.nspname = 'bubble_sync' and pg_catalog.pg_get_userbyid(n.nspowner) = current_user)
    union all
    select pg_catalog.format('privilege CREATE on database %I for %I', current_database(), current_user)
    where pg_catalog.to_regnamespace('bubble_sync') is null
        and not pg_catalog.has_database_privilege(current_database(), 'CREATE')
    union all
    select pg_catalog.format('privilege %s on %s for %I', r.privilege, r.name, current_user)
    from relation_privilege as r
    join pg_catalog.pg_class as c on c.relname = pg_catalog.split_part(r.name, '.', 2)
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = pg_catalog.split_part(r.name, '.', 1)
    where not pg_catalog.has_table_privilege(c.oid, r.privilege)
    union all
    select pg_catalog.format('privilege EXECUTE on %s.%s for %I', n.nspname, f.proname, current_user)
    from pg_catalog.pg_proc as f
    join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
    where (n.nspname, f.proname) in (
            ('cron', 'schedule'), ('cron', 'alter_job'), ('cron', 'unschedule'), ('net', 'http_post'),
            ('vault', 'create_secret'), ('vault', 'update_secret'), ('vault', '_crypto_aead_det_decrypt'))
    group by n.nspname, f.proname
    having not pg_catalog.bool_or(pg_catalog.has_function_privilege(f.oid, 'EXECUTE'))
)
select coalesce(pg_catalog.array_agg(text), '{}') as missing from finding;
