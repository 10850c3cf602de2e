-- title: Scheduler of pg_cron that does not run
-- needs: cron.job pg_catalog.pg_stat_activity
-- follows: job_owner_dropped extension_unavailable
-- One server process starts all jobs. After its end no job of the database runs, without an error. Hosted projects restore
-- the process at a restart, and with pg_cron 1.6.4 or newer automatically.
select
    'error' as level,
    'extension pg_cron' as object,
    'no process of the server is pg_cron''s scheduler: no job runs' as evidence,
    'Restart the database: Settings -> General -> Restart project -> Fast database reboot. Where it ends again, look for '
    || 'job_owner_dropped here and for pg_cron in the Postgres logs.' as remedy
where not pg_catalog.pg_is_in_recovery() and not exists (
    select from pg_catalog.pg_stat_activity as a where a.backend_type ~ '^pg_cron.*(launcher|scheduler)'
);
