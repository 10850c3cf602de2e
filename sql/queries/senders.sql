-- Who calls what, from the calls that send HTTP to the jobs and triggers at the end. Used by reaching.sql.

-- name: found
with recursive source (kind, id, place, name, params, raw) as (
    select kind, id, place, name, params, pg_catalog.lower(raw)
    from (
        -- include: sender_sources all
    ) as one (kind, id, place, name, params, raw)
), called (kind, id, word, pattern, verdict, slot, via) as (
    select 'http' collate "C", 0::bigint, 'http' collate "C", ('(?:\w+\.)?' || http) collate "C", 'http' collate "C",
        false, '' collate "C"
    union all
    select 'ours', 0, pg_catalog.split_part(ours, '.', 2), '(?:' || pg_catalog.split_part(ours, '.', 1) || '\.)'
        || case when ours ~ '^public' then '?' else '' end || pg_catalog.split_part(ours, '.', 2), 'names', false, ours
    from pg_catalog.unnest(given.functions) as ours
    -- Of ours only these lead to the endpoint.
    where ours ~ '\.(invoke_\w+|send)$'
    union
    select source.kind, source.id, pg_catalog.lower(source.name),
        '(?:' || pg_catalog.regexp_replace(pg_catalog.lower(source.place), '\W', '.', 'g') || '\.)?'
            || pg_catalog.regexp_replace(pg_catalog.lower(source.name), '\W', '.', 'g'),
        judged.verdict,
        -- What it is given may be the last part of the address.
        called.slot or code.text ~ open_end or code.text ~ ('[^:<>]=\s*(?:\w+\.)?(?:' || source.params || ')\M')
            or sent.address || ';' || code.text
                ~ ('(?:^|\mv?_?ur[il]\s*:?=)[^;,]*\|\|\s*(?:\w+\.)?(?:' || source.params || ')\M'),
        case when judged.verdict = 'names' then
            coalesce(nullif(called.via, ''), source.place || '.' || source.name, '') else '' end
    from called
    -- Only what has the word is taken apart.
    join source on source.id <> called.id and pg_catalog.strpos(source.raw, called.word) > 0
    -- include: sender_text normal
    -- include: sender_text judged
    where judged.verdict is not null
)
select distinct on (s.kind, s.id) s.kind, s.id::text as id, s.via, s.via = any (given.functions) as ours,
    case s.kind when 'function' then s.id::regprocedure::text when 'job' then source.name else source.place end as name,
    jobs.username, coalesce(jobs.active, t.tgenabled <> 'D', e.evtenabled <> 'D', true) as active,
    jobs.username = current_user as mine, f.prokind = 'p' as procedure
from called as s
join source on source.kind = s.kind and source.id = s.id
left join pg_catalog.pg_trigger as t on s.kind = 'trigger' and t.oid = s.id::oid
left join pg_catalog.pg_event_trigger as e on s.kind = 'event trigger' and e.oid = s.id::oid
left join pg_catalog.pg_proc as f on s.kind = 'function' and f.oid = s.id::oid
left join pg_catalog.jsonb_to_recordset(rows) as jobs (jobid bigint, username text, active boolean)
    on s.kind = 'job' and jobs.jobid = s.id
where s.verdict = 'names' and s.kind not in ('http', 'ours')
order by s.kind, s.id, s.via = any (given.functions) desc, s.via;
