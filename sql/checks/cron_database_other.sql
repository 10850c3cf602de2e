-- title: Jobs that run in another database
-- needs: pg_catalog.pg_settings
-- pg_cron serves one database of a server, and can be installed in that one alone.
select
    'error' as level,
    'extension pg_cron' as object,
    'missing: ' || missing.text as evidence,
    pg_catalog.format(
        'Set cron.database_name to %%L and restart the server, or give the stack the URL of the other database.',
        pg_catalog.current_database()
    ) as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'database %%';
