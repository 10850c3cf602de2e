-- title: Items of a status that nobody knows
-- needs: public.sync_queue
-- The processor counts pending items, the retry failed ones, and processing and completed are the Edge Function's words,
-- each exactly as it is written here. An item of any other status, in capitals or with a blank too, is never sent. A word
-- that the queue's own CHECK or enum names is taken for the application's, and merely told.
select
    case when declared then 'info' else 'warning' end as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s of the status %%L (%%s), the oldest since %%s UTC%%s', sum(count),
        pg_catalog.left(pg_catalog.regexp_replace(status, '\s', ' ', 'g'), 60),
        pg_catalog.string_agg(pg_catalog.format('%%s %%s', count, coalesce(operation, 'null')), ', ' order by operation),
        pg_catalog.to_char(min(oldest_item) at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'),
        -- Whoever writes free text there has as many as items.
        case when count(*) over () > 10 then pg_catalog.format('; one of %%s such statuses', count(*) over ()) else '' end
    ) as evidence,
    pg_catalog.format(
        'Correct what writes them. Then, to have them sent: update public.sync_queue set status = ''pending'' '
        'where status%%s %%s and created_at <= %%L;',
        case when status is null then '' else '::text' end,
        coalesce('= ' || pg_catalog.quote_literal(status), 'is null'),
        -- Those that come meanwhile were not looked at.
        pg_catalog.to_char(pg_catalog.now() at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS"+00"')) as remedy
from pg_catalog.jsonb_to_recordset(%(items)s::jsonb)
    as item (status text, operation text, recognised boolean, declared boolean, count bigint, oldest_item timestamptz)
where not recognised
group by status, declared
order by declared, sum(count) desc, status
limit 10;
