-- How the source of a function, a job or a trigger is read: what its words do, not how they are written.

-- name: text
-- Of `raw`, in lower case: without comments, doubled or dollar quotes, JSON, casts, comparisons with literals, names of
-- functions that are not called, and messages; literals that are joined are one.
(
    select pg_catalog.regexp_replace(source.t, '''\s*\|\|\s*''', '', 'g')
    from (select pg_catalog.regexp_replace(raw,
        '(''(?:[^'']|'''')*''|"[^"]*")|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/', '\1', 'g') as t) as bare
    cross join lateral (select pg_catalog.regexp_replace(bare.t, '\$([a-z_]\w*)?\$', '''', 'g') as t) as dollars
    cross join lateral (
        select pg_catalog.regexp_replace(dollars.t, '([(,=|\s])''''(?=[),;\s|])', '\1null', 'g') as t
    ) as empties
    cross join lateral (select pg_catalog.regexp_replace(empties.t, '''{2,}', '''', 'g') as t) as quotes
    cross join lateral (select pg_catalog.regexp_replace(quotes.t, '''\s*\{[^'']*\}\s*''', 'null', 'g') as t) as json
    cross join lateral (
        select pg_catalog.regexp_replace(pg_catalog.replace(json.t, '"', ''),
            '\s*::\s*\w[\w.]*|\mcast\s*\((?=\s*''[^'']*''\s+as\s)|(?<='')\s+as\s+(?:text|varchar)\s*\)', '', 'g') as t
    ) as casts
    cross join lateral (select pg_catalog.regexp_replace(casts.t,
        '(\m(?:where|and|or|on|when|if|not|having)\s+[\w.()]+\s*'
        '(?:(?:=|~\*?|in\s*\()(?!\s*''bubble_sync(?:_\w+)?'')|<>|!=|not\s+in\s*\(|(?:not\s+)?i?like))\s*''[^'']*''',
        '\1 null', 'g') as t) as compared
    cross join lateral (select pg_catalog.regexp_replace(compared.t,
        '\m(?:drop|alter|on|replace)\s+(?:function|procedure|routine)\s+(?:if\s+exists\s+)?[\w.]+\s*\([^()]*\)'
        '|''[\w.]+\(\)''|\mraise\s+\w+\s+''[^'']*''', 'null', 'g') as t) as named
    cross join lateral (select pg_catalog.regexp_replace(
        pg_catalog.regexp_replace(named.t, '\m(count|sum|min|max|now|to_char)\s*\([^()]*\)', 'null', 'g'),
        '\mjsonb?_build_object\s*\((?:[^()]|\W\([^()]*\))*\)', 'null', 'g') as t) as source
)

-- name: code
-- Of `text`: what it calls; a literal is code only where it is executed.
case
    when text ~ '(\mexecute\s+(?!on|function|procedure)|^\s*do\s|\mdblink)' then text
    else pg_catalog.regexp_replace(text, '''[^'']*''', '''''', 'g')
end
