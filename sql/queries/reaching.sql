-- Other generations of the sync: what else sends to the Edge Function, or calls what does. Left alone, and reported.

-- name: functions
-- Besides those of the stack: a function that names the endpoint, or that reads the queue and sends; one that calls
-- such a function or one of ours; and the triggers of each.
with recursive candidate (oid, name, source) as (
    select f.oid, f.proname::text,
        case when f.prosqlbody is null then f.prosrc else pg_catalog.pg_get_functiondef(f.oid) end
    from pg_catalog.pg_proc as f
    join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema', 'bubble_sync') and f.prokind in ('f', 'p')
        and not n.nspname || '.' || f.proname = any (given.functions)
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
        )
), reaching (oid, name) as (
    select oid, name
    from candidate
    where source ~ '/functions/v1/bubble_sync(\W|$)' or (source ~ '\msync_queue\M' and source ~ '\mhttp_post\M')
        or exists (
            select from pg_catalog.unnest(given.functions) as ours
            where source ~ ('\m' || pg_catalog.regexp_replace(ours, '^public\.', '') || '\M\s*\(')
        )
    union
    select c.oid, c.name
    from reaching as r
    join candidate as c on c.source ~ ('\m' || pg_catalog.regexp_replace(r.name, '\W', '.', 'g') || '\M\s*\(')
)
select r.name, r.oid::regprocedure::text as signature, array(
    select pg_catalog.format('%I on %s', t.tgname, t.tgrelid::regclass)
    from pg_catalog.pg_trigger as t
    where t.tgfoid = r.oid and not t.tgisinternal
    order by 1
) as triggers
from reaching as r
order by 2;

-- name: jobs
-- Besides those of the stack: a job that names the endpoint, or calls one of those functions or one of ours. Its
-- command is not returned: it may hold a key.
select j.jobid, j.jobname::text as name, j.username, j.active, j.username = current_user as mine
from cron.job as j
where not coalesce(j.jobname::text, '') = any (given.jobs)
    and (
        j.command ~ '/functions/v1/bubble_sync(\W|$)'
        or (j.command ~ '\msync_queue\M' and j.command ~ '\mhttp_post\M')
        or exists (
            select from pg_catalog.unnest(given.functions) as ours
            where j.command ~* ('\m' || pg_catalog.regexp_replace(ours, '^public\.', '') || '\M\s*\(')
        )
        or exists (
            select from pg_catalog.jsonb_array_elements(given.answer->'reaching') as other
            where j.command ~* ('\m' || pg_catalog.regexp_replace(other->>'name', '\W', '.', 'g') || '\M\s*\(')
        )
    )
order by j.jobid;
