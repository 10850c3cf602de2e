-- Part of the search in senders.sql: what is searched, and what is looked for.

-- name: sources
-- Every function that is not an extension's, every job and trigger besides those of the stack; and what is looked for.
source (id, kind, oid, jobid, schema, name, raw, username, active, mine, runs) as materialized (
    select 'function ' || f.oid, 'function', f.oid, null::bigint, n.nspname::text, pg_catalog.lower(f.proname),
        pg_catalog.lower(case when f.prosqlbody is null then f.prosrc else pg_catalog.pg_get_functiondef(f.oid) end
            || case when f.pronargdefaults > 0 then ' ' || pg_catalog.pg_get_function_arguments(f.oid) else '' end),
        null, true, true, null::text
    from pg_catalog.pg_proc as f
    join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema') and f.prokind in ('f', 'p')
        and not n.nspname || '.' || f.proname = any (given.functions)
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = f.oid and d.deptype = 'e'
        )
    union all
    select 'job ' || j.jobid, 'job', null, j.jobid, null, j.jobname, pg_catalog.lower(j.command), j.username, j.active,
        j.username = current_user, null
    from pg_catalog.jsonb_to_recordset(given.rows)
        as j (jobid bigint, jobname text, command text, username text, active boolean)
    where not coalesce(j.jobname, '') = any (given.jobs)
    union all
    select 'trigger ' || t.oid, 'trigger', t.oid, null, null, null,
        case when t.tgnargs > 0
            then pg_catalog.lower(pg_catalog.substring(pg_catalog.pg_get_triggerdef(t.oid), 'EXECUTE FUNCTION (.*)$')) end,
        null, t.tgenabled <> 'D', true, 'function ' || t.tgfoid
    from pg_catalog.pg_trigger as t
    where not t.tgisinternal
), word (strong, weak, mention, joins, http) as (
    select '(?:' || strong || ')', weak, '(?:(?:''[^'']*)?(?:' || strong || ')|' || weak || ')', joins, http
    from (values (
        '(?:(?:functions/v1/+|functions\.[\w.-]+(?::\d+)?/+)bubble_sync(?![\w.-])'
        '|(?:''|%s|%\d\$s)/+bubble_sync(?=[''?/#])'
        '|(?:\|\||\mconcat\s*\(\s*[a-z(](?:[^()'']|''[^'']*''|\([^()]*\))*,)\s*''bubble_sync(?=[''?/#])'
        '|\w*bubble_sync_(?:function_|edge_)*(?:url|uri|endpoint)'')',
        '''bubble_sync(?=[''?/#])',
        'functions/v1/*''?\s*(?:\|\||,)|functions/v1/*[{<:%]|[/s][%](?:\d+\$)?[si]|''v1''\s*,|''/''\s*(?:\|\||,)'
        '|\mreplace\s*\(\s*''[^'']*functions|functions\.[\w.-]+/*''\s*(?:\|\||,)|\murl\s*(?::=|=>)\s*[^,:]*\|\|\s*[\w.$]+\s*[,);]',
        '\mhttp(?:_get|_post|_put|_patch|_delete|_request)?\s*\(|\minto\s+net\.http_request_queue'
        '|\murlopen\s*\(|\mrequests\.\w+\s*\('
    )) as found (strong, weak, joins, http)
)
