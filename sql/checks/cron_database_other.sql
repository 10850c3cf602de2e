-- title: Jobs or requests of another database
-- needs: pg_catalog.pg_settings
-- pg_cron and pg_net each work in a single database of the server.
select
    'error' as level,
    'extension ' || pg_catalog.substring(missing.text, 'pg_(?:cron|net)') as object,
    'missing: ' || missing.text as evidence,
    pg_catalog.format(
        'Set %%s.database_name to %%L and restart the server, or give the stack the URL of the other database.',
        case when missing.text ~ 'pg_net' then 'pg_net' else 'cron' end, pg_catalog.current_database()
    ) as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'database %%';
