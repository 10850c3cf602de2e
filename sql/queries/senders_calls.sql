-- Part of the search in senders.sql: from whom to whom the calls go.

-- name: reaching
-- Helpers that are called with the address or the name, and what they hand it on to; those of them that send, or hand it
-- to one that does; then the callers of all that sends.
, called as materialized (
    select distinct j.id, call[1] as schema, call[2] as name
    from judged as j
    cross join lateral pg_catalog.regexp_matches(j.code, '(?:(\w+)\s*\.\s*)?(\w+)\s*\(', 'g') as call
), met as materialized (
    select c.id, f.id as helper, f.schema, f.name, f.raw
    from called as c
    join source as f on f.kind = 'function' and f.name = c.name and f.id <> c.id and f.schema = coalesce(c.schema, f.schema)
), passed (id, strong, helper, raw, label) as materialized (
    select distinct j.id, j.strong, f.helper, f.raw, f.schema || '.' || f.name
    from judged as j
    cross join word as w
    join met as f on f.id = j.id
    where j.text ~ ('\m' || f.name || '\s*\((?:[^()'']|''[^'']*''|\((?:[^()]|\([^()]*\))*\))*' || w.mention)
        or j.text ~ ('\m' || f.name || '\s*\([^()]*[%](?:\d+\$)?[ls].*' || w.weak)
        or j.text ~ ('(?::=|=|\mdefault)\s*' || w.mention || '[^'']*''\s*;')
        or j.text ~ ('(?:\m(?:where|and)\s+[\w.]+\s*=\s*|\marray\s*\[[^\]]*|\mfrom\s*\(\s*values[^;]*)' || w.weak)
), helper (id, caller, text) as (
    select s.id, null::text,
        -- include: source_text text
    from (select distinct p.helper as id, p.raw from passed as p) as s
    union
    select s.id, s.caller,
        -- include: source_text text
    from (
        select f.id, h.id as caller, f.raw
        from helper as h
        cross join lateral pg_catalog.regexp_matches(h.text, '(?:(\w+)\s*\.\s*)?(\w+)\s*\(', 'g') as call
        join source as f on f.kind = 'function' and f.name = call[2] and (call[1] is null or f.schema = call[1])
        where h.text ~ ('\m' || f.name || '\s*\(\s*(?:\w+\s*(?::=|=>)\s*)?(?:''(?:get|post)''\s*,\s*)?[a-z_$]')
    ) as s
), able (id, joins) as (
    select h.id, h.text ~ w.joins from helper as h cross join word as w where h.text ~ w.http
    union
    select h.caller, a.joins from able as a join helper as h on h.id = a.id where h.caller is not null
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
    select p.id, s.schema, s.name, p.label
    from passed as p
    join able as a on a.id = p.helper and (p.strong or a.joins)
    join source as s on s.id = p.id
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
                -- Worked out once.
                offset 0
            ) as whole
        )
    end
)
