-- title: Schedules in another time zone
-- needs: pg_catalog.pg_settings
-- pg_cron reads schedules in GMT unless configured otherwise. Our default schedules work in any zone. A schedule with an
-- hour runs at another time than intended and shown.
select
    'info' as level,
    'extension pg_cron' as object,
    pg_catalog.format('cron.timezone is %%s', s.setting) as evidence,
    'Nothing, while the schedules name no hour. Else: alter system reset cron.timezone; and restart the server.' as remedy
from pg_catalog.pg_settings as s
where s.name = 'cron.timezone' and pg_catalog.upper(s.setting) not in ('GMT', 'UTC', 'ETC/UTC', 'ETC/GMT', 'ZULU');
