-- Part of the search in senders.sql: from whom to whom the calls go.

-- name: helper
-- The helper `f` as a step of a chain.
f.schema || '.' || f.name,
(
    select
        -- include: source_text text
    from (values (f.raw)) as s (raw)
)

-- name: reaching
-- Helpers that are called with the address or the name, and what they hand it on to; then the callers of all that sends.
, passed (id, strong, helper, text) as (
    select j.id, j.strong,
        -- include: senders_calls helper
    from judged as j
    cross join word as w
    cross join lateral pg_catalog.regexp_matches(j.code, '(?:(\w+)\s*\.\s*)?(\w+)\s*\(', 'g') as call
    join source as f on f.kind = 'function' and f.name = call[2] and f.id <> j.id
        and (call[1] is null or f.schema = call[1])
    where j.text ~ ('\m' || f.name || '\s*\((?:[^()'']|''[^'']*''|\((?:[^()]|\([^()]*\))*\))*' || w.mention)
        or j.text ~ ('(?::=|=|\mdefault)\s*' || w.mention || '[^'']*''\s*;')
        or j.text ~ ('(?:\m(?:where|and)\s+[\w.]+\s*=\s*|\marray\s*\[[^\]]*|\mfrom\s*\(\s*values[^;]*)' || w.weak)
    union
    select p.id, p.strong,
        -- include: senders_calls helper
    from passed as p
    cross join lateral pg_catalog.regexp_matches(p.text, '(?:(\w+)\s*\.\s*)?(\w+)\s*\(', 'g') as call
    join source as f on f.kind = 'function' and f.name = call[2] and (call[1] is null or f.schema = call[1])
    where p.text ~ ('\m' || f.name || '\s*\(\s*(?:\w+\s*(?::=|=>)\s*)?(?:''(?:get|post)''\s*,\s*)?[a-z_$]')
), reaching (id, schema, name, through) as (
    -- Of ours only what sends; a function in the schema `bubble_sync` is called with its schema.
    select null::text, pg_catalog.split_part(ours, '.', 1), pg_catalog.split_part(ours, '.', 2), null::text
    from pg_catalog.unnest(given.functions) as ours
    where ours like 'public.%' or ours = 'bubble_sync.send'
    union
    select j.id, s.schema, s.name, null
    from judged as j
    join source as s on s.id = j.id
    where j.sends
    union
    select p.id, s.schema, s.name, p.helper
    from passed as p
    cross join word as w
    join source as s on s.id = p.id
    where p.text ~ w.http and (p.strong or p.text ~ w.joins)
    union
    select s.id, s.schema, s.name, r.schema || '.' || r.name
    from reaching as r
    join source as s on case
        when s.kind = 'trigger' then s.runs = r.id
        when r.name is null or s.id = r.id or pg_catalog.strpos(s.raw, r.name) = 0 then false
        else (
            select case when text ~ ('\mexecute\M.*''(?:' || r.schema || '\.)?' || r.name || '''') then true else (
                -- include: source_text code
            ) ~ ('(?:^|[^\w.])(?:' || r.schema || '\s*\.\s*)'
                || case when r.schema = 'bubble_sync' then '' else '?' end || r.name || '\s*\(') end
            from (
                select
                    -- include: source_text text
                    as text
                from (values (s.raw)) as s (raw)
            ) as whole
        )
    end
)
