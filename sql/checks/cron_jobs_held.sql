-- title: Jobs that pg_cron holds back
-- needs: pg_catalog.pg_settings
-- The server setting `cron.launch_active_jobs` is off: jobs stay active, and none runs.
select
    'error' as level,
    'extension pg_cron' as object,
    'missing: ' || missing.text as evidence,
    'As a superuser: alter system set cron.launch_active_jobs = on; select pg_reload_conf(); Hosted: ask Supabase support.'
    as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'setting %%';
