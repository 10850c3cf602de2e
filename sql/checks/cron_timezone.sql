-- title: Schedules in another time zone
-- needs: pg_catalog.pg_settings
-- pg_cron reads schedules in GMT unless its server says otherwise. Ours run each minute, and each five: they work in any
-- zone. One that names an hour runs at another moment than its writer, and our output, mean.
select
    'info' as level,
    'extension pg_cron' as object,
    pg_catalog.format('cron.timezone is %%s', s.setting) as evidence,
    'Nothing, while the schedules name no hour. Else: alter system reset cron.timezone; and restart the server.' as remedy
from pg_catalog.pg_settings as s
where s.name = 'cron.timezone' and pg_catalog.upper(s.setting) not in ('GMT', 'UTC', 'ETC/UTC', 'ETC/GMT', 'ZULU');
