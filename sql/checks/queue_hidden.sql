-- title: Queue whose items are hidden from the functions
-- needs: bubble_sync.ledger:own
-- Row security without a policy shows no row to a role that neither owns the table nor bypasses it. The functions then
-- count no items and send nothing, and their runs stay green.
select
    'error' as level,
    'table public.sync_queue' as object,
    'missing: ' || missing.text as evidence,
    pg_catalog.format(
        'As the owner: alter table public.sync_queue owner to %%I; or, as a superuser: alter role %%I bypassrls;',
        current_user, current_user
    ) as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text like 'row security of %%';
