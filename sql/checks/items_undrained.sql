-- title: Items of an operation that is not drained
-- needs: public.sync_queue
-- The processor counts SIGNUP_ATOMIC, INSERT and UPDATE. An item of another operation, as DELETE, never makes it call,
-- and is taken only if the function happens to take it with others.
select
    'warning' as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s pending with the operation %%s, the oldest since %%s', count, coalesce(operation, 'null'),
        pg_catalog.to_char(oldest_item, %(timestamp)s)) as evidence,
    pg_catalog.format(
        'Do what they ask for by hand, then: update public.sync_queue set status = ''completed'', processed_at = '
        'now() where status = ''pending'' and operation %%s and created_at <= %%L; and let whatever queues them stop.',
        coalesce('= ' || pg_catalog.quote_literal(operation), 'is null'),
        -- Later items are not completed.
        pg_catalog.date_trunc('second', pg_catalog.now())::text) as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb)
    as item (status text, operation text, drained boolean, count bigint, oldest_item timestamptz)
where status = 'pending' and not drained;
