-- title: Queue that lacks something
-- The functions, and the Edge Function, expect ten columns of public.sync_queue with their types, and that an item may have
-- each operation and status. The application makes the table; it is observed here, and never changed.
select
    'error' as level,
    'table public.sync_queue' as object,
    'missing: ' || missing.text as evidence,
    case
        when missing.text like '%% (it is a view)' then
            'Give the view another name, and let the application''s migrations make the table: supabase db push'
        when missing.text like 'table %%' then 'Apply the application''s migrations: supabase db push'
        when missing.text ~ ' in the enum of ' then 'Add the value to the type: alter type ... add value ...;'
        when missing.text ~ ' in the constraint ' then pg_catalog.format(
            'alter table public.sync_queue drop constraint %%I; and add it again with the value, by a migration.',
            pg_catalog.substring(missing.text, ' in the constraint (.*) of public\.sync_queue$')
        )
        else 'Add or mend the column by the application''s migration that has it: supabase db push'
    end as remedy
from pg_catalog.jsonb_array_elements_text(%(missing)s::jsonb) as missing (text)
where missing.text !~ '^(extension|database|setting|privilege|a writable server|row security) ';
