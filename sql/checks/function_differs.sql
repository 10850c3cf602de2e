-- title: Function that is not as configured
-- The function's text or properties differ from the program's: the function was changed by hand, or the configuration
-- changed since the last `pulumi up`. `bubble-sync diff` shows the text.
select
    'warning' as level,
    change.object as object,
    'not as configured: ' || pg_catalog.string_agg(
        change.field || coalesce(': ' || nullif(change.actual, ''), ''), ', ' order by change.field
    ) as evidence,
    'Look with bubble-sync diff, then run pulumi up.' || case
        when pg_catalog.bool_or(change.field = 'returns') then pg_catalog.format(
            ' It returns something else, so drop it first: drop %%s(%%s);', change.object, pg_catalog.min(change.arguments)
        )
        else ''
    end as remedy
from pg_catalog.jsonb_to_recordset(%(function_changes)s::jsonb)
    as change (object text, arguments text, field text, actual text)
where change.field not in ('presence', 'owner', 'executors', 'overloads')
    -- function_search_path_mutable reports this case.
    and not (change.field = 'config' and change.actual !~ 'search_path')
group by change.object;
