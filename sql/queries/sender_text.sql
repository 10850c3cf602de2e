-- The normalised text of a source, and its calls. Used by reaching.sql.

-- name: normal
-- Without comments, casts, quoted names, dollar quotes, and what is scheduled, dropped or granted and not called; joined
-- literals are one. A literal that holds a call is text, unless something is executed.
cross join lateral (
    select case when source.raw ~ '--|/\*' then pg_catalog.regexp_replace(
        source.raw, '(''[^'']*'')|--[^\n]*|/\*(?:/\*(?:[^*]|\*+[^*/])*\*+/|[^*/]|/(?!\*)|\*(?!/))*\*/', '\1 ', 'g'
    ) else source.raw end as text
) as bare_of_comments
cross join lateral (
    select case when pg_catalog.strpos(bare_of_comments.text, '$') = 0 then bare_of_comments.text
        else pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.regexp_replace(
            bare_of_comments.text, '\mdo[^$'']*?(\$\w*?\$)(.*?)\1', ' \2 ', 'g'),
            '(\$[a-z_]*?\$)([^''$]*?)\1', '''\2''', 'g'), '\$(?:[a-z_]\w*)?\$', ' ', 'g') end as text
) as undollared
cross join lateral (
    select case when undollared.text !~ 'http|bubble|"' then undollared.text
        else pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.regexp_replace(
            undollared.text, '"([^"''\s]+)"(?=\s*[.(])', '\1', 'g'),
            '::\s*[\w.]+(?:\s*\(\d+\))?(?:\[\])?', '', 'g'), '''\s*(?:\|\||\n)\s*''', '', 'g') end as text
) as joined
cross join lateral (
    select case when joined.text !~ 'cron\.|function|procedure|routine' then joined.text
        else pg_catalog.regexp_replace(joined.text,
            '\mcron\.\w+\s*\((?:' || nested || ')*\)|\m(?:function|procedure|routine)\s+(?:if\s+exists\s+)?[\w.]+\s*\(',
            ' ', 'g') end as text
) as plain
cross join lateral (
    select case when plain.text ~ executes then plain.text
        else pg_catalog.regexp_replace(plain.text, '(''[^''(]*'')|''[^'']*''', '\1', 'g') end as text
) as code

-- name: judged
-- One row for each call of `called` in `code`: names, open, or null for another address.
cross join lateral (
    select found.one[1] as args
    from pg_catalog.regexp_matches(
        code.text, '(?:^|[^\w.])' || called.pattern || '\s*\(((?:' || nested || ')*)\)', 'g'
    ) as found (one)
    union all
    -- By name in what is executed; and a call that no pattern can take apart.
    select ''
    where code.text ~ ('(?:^|[^\w.])' || called.pattern || '\s*\(')
        and code.text !~ ('(?:^|[^\w.])' || called.pattern || '\s*\((?:' || nested || ')*\)')
        or (called.verdict = 'names' and code.text ~ executes and code.text ~ ('''' || called.pattern || ''''))
) as call
cross join lateral (
    select case when called.verdict = 'http' then coalesce(
        pg_catalog.substring(call.args, '\mur[il]\s*(?::=|=>)\s*(' || expression || ')'),
        pg_catalog.substring(call.args, '^\s*(?:row\s*)?\(\s*' || expression || ',\s*(' || expression || ')'),
        pg_catalog.substring(call.args, '^\s*(' || expression || ')'), '')
        else pg_catalog.regexp_replace(
            call.args, '\((?:' || nested || ')*\)|''\s*[\[{][^'']*''', '', 'g') end as address
) as sent
cross join lateral (
    select called.verdict <> 'http' and sent.address ~ '''(?!(?:get|post|put|patch|delete|head)'')[\w/.:-]+''' as named
) as told
cross join lateral (
    select case
        when called.verdict = 'names' then 'names'
        when case when called.verdict = 'http' or told.named then sent.address else call.args end
            ~ (endpoint_address || case when called.slot or called.verdict = 'http' then '|' || bare_name else '' end) then 'names'
        when told.named or (called.verdict = 'http'
            and sent.address ~ '[\w?=&.#-]''\s*$|functions/v1/[a-z0-9]') then null
        when source.kind = 'trigger' then null
        when call.args ~ 'process_queue_data_api|["'']retry_failed["'']' then 'names'
        when sent.address || ' ' || pg_catalog.regexp_replace(
            code.text, called.pattern || '\s*\((?:' || nested || ')*\)', ' ', 'g'
        ) ~ (endpoint_address || '|' || carriers || case when called.slot or code.text ~ open_end then '|' || bare_name else '' end) then 'names'
        else 'open'
    end as verdict
) as judged
