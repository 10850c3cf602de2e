-- title: Server that may not be written to
-- A replica, or a project whose disk is nearly full: hosted projects then switch to read-only. Nothing is queued, sent or
-- marked as done.
select
    'error' as level,
    pg_catalog.format('database %%I', pg_catalog.current_database()) as object,
    'missing: ' || missing.text as evidence,
    'Where the disk is full: Settings -> Compute and Disk, then set default_transaction_read_only = off; and make room. '
    || 'On a replica: connect to the primary.' as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'a writable server%%';
