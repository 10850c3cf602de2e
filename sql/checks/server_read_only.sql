-- title: Server that may not be written to
-- The server is a replica, or a hosted project with a nearly full disk. Nothing is queued, sent or completed.
select
    'error' as level,
    pg_catalog.format('database %%I', pg_catalog.current_database()) as object,
    'missing: ' || missing.text as evidence,
    'Where the disk is full: Settings -> Compute and Disk, then set default_transaction_read_only = off; and make room. '
    || 'On a replica: connect to the primary.' as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'a writable server%%';
