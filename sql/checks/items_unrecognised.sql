-- title: Items of an unknown status
-- needs: public.sync_queue
-- The processor counts pending items, the retry job failed ones, and the Edge Function writes processing and completed,
-- each in exactly this spelling. Items of any other status are never sent. A status in the queue's own CHECK or enum belongs
-- to the application, and is reported as information.
select
    case when declared then 'info' else 'warning' end as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s of the status %%L (%%s), the oldest since %%s%%s', sum(count),
        pg_catalog.left(pg_catalog.regexp_replace(status, '\s', ' ', 'g'), 60),
        pg_catalog.string_agg(pg_catalog.format('%%s %%s', count, coalesce(operation, 'null')), ', ' order by operation),
        pg_catalog.to_char(min(oldest_item), %(timestamp)s),
        -- With free text there are as many statuses as items.
        case when count(*) over () > 10 then pg_catalog.format('; one of %%s such statuses', count(*) over ()) else '' end
    ) as evidence,
    pg_catalog.format(
        'Correct what writes them. Then, to have them sent: update public.sync_queue set status = ''pending'' '
        'where status%%s %%s and created_at <= %%L;',
        case when status is null then '' else '::text' end,
        coalesce('= ' || pg_catalog.quote_literal(status), 'is null'),
        -- Later items are unchecked.
        pg_catalog.date_trunc('second', pg_catalog.now())::text) as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb)
    as item (status text, operation text, recognised boolean, declared boolean, count bigint, oldest_item timestamptz)
where not recognised
group by status, declared
order by declared, sum(count) desc, status
limit 10;
