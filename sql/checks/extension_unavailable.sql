-- title: Extension that the server does not offer
-- needs: pg_catalog.pg_settings
-- An extension can be installed where its files are on the server, and works where its library is preloaded. Hosted projects
-- have all three; another server needs its packages, and a restart.
select
    'error' as level,
    pg_catalog.substring(missing.text, '^extension \w+') as object,
    'missing: ' || missing.text as evidence,
    'Hosted: ask Supabase support. Your own server: install its package, add it to shared_preload_libraries, and restart.'
    || case when missing.text ~ '^extension pg_cron' then ' Until then, work by hand: bubble-sync run-now' else '' end as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'extension %%';
