-- The observation block: PL/pgSQL with queries of the other files as parts, for one round trip. The owner runs the block
-- with DO; the function bubble_sync.observe runs it for a role without other rights. A part of a missing table is missing in
-- the answer. A missing privilege raises, and never means "no rows".

-- name: block
-- Every part that there is, in the order of reading; a caller names those that it wants.
#variable_conflict use_column
<<given>>
declare
    extensions constant text[] := %(extensions)s::text[];
    functions constant text[] := %(functions)s::text[];
    jobs constant text[] := %(jobs)s::text[];
    secrets constant text[] := %(secrets)s::text[];
    triggers constant text[] := %(triggers)s::text[];
    salt constant text := %(salt)s;
    required constant jsonb := %(required)s::jsonb;
    pattern constant text := %(pattern)s;
    itself constant text := %(itself)s;
    answer jsonb := '{}'::jsonb;
    rows jsonb;
    one text;
    checked record;
    refused boolean;
begin
    -- A role that may create schemas can put a view, or a table with policies, where we read: its functions would run as us.
    select pg_catalog.format(
        '%s is owned by %I, whose code would run as %I: nothing was read. As that role: alter schema %I rename to %I',
        c.oid::regclass, r.rolname, current_user, n.nspname, n.nspname || '_other'
    )
    into one
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_roles as r on r.oid = c.relowner
    where (n.nspname, c.relname) in (
            ('bubble_sync', 'ledger'), ('bubble_sync', 'dispatches'), ('cron', 'job'), ('cron', 'job_run_details'),
            ('net', '_http_response'), ('net', 'http_request_queue'), ('vault', 'secrets'), ('vault', 'decrypted_secrets')
        )
        and r.rolname <> current_user and not r.rolsuper
        and (c.relkind = 'v' or c.relkind in ('r', 'p') and pg_catalog.row_security_active(c.oid))
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
        )
    limit 1;
    if one is not null then
        raise exception using errcode = 'insufficient_privilege', message = one;
    end if;
    -- part: extensions = extensions observe
    -- part: functions = functions observe
    -- part: jobs = cron observe
    -- part: reader = cron reader
    -- part: triggers = triggers observe
    -- part: secrets = vault observe
    -- part: digests = vault digests
    -- part: schema = ledger schema
    -- part: ledger = ledger state
    -- part: recorded = ledger rows
    -- part: tables = tables state
    -- part: queue = queue observe
    -- part: refused = observe refused
    -- part: server = server observe
    -- part: users = references users
    -- part: using_jobs = references jobs
    -- part: reaching = reaching senders
    -- part: definitions = functions definitions
    -- part: runs = signs runs
    -- part: dispatches = signs dispatches
    -- part: responses = signs responses
    -- answer
end

-- name: part
begin
    answer := answer || pg_catalog.jsonb_build_object('{part}', (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(part)), '[]') from (
            {query}
        ) as part
    ));
exception when undefined_table or invalid_schema_name then
    null;
end;

-- name: refused
-- The server itself says whether each value passes; a constraint that it cannot evaluate alone says nothing.
rows := '[]';
for checked in
    select rule.value as rule, wanted.value as value
    from pg_catalog.jsonb_array_elements(answer->'queue'->0->'checks') as rule,
        pg_catalog.jsonb_array_elements_text(required->(rule.value->>'column')) as wanted
loop
    begin
        execute pg_catalog.format(
            'select not (%s) from (select %L::%s as %I) as item', checked.rule->>'expression', checked.value,
            checked.rule->>'type', checked.rule->>'column'
        ) into refused;
        rows := case when refused then rows || pg_catalog.to_jsonb(checked) else rows end;
    exception when others then
        null;
    end;
end loop;
answer := answer || pg_catalog.jsonb_build_object('refused', rows);

-- name: way
-- From the catalog alone: to_regprocedure raises for a schema that one may not use. No owner where there is no ledger.
select
    current_user::text as role,
    (
        select pg_catalog.pg_get_userbyid(c.relowner)
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'bubble_sync' and c.relname = 'ledger'
    ) as owner,
    exists (
        select from pg_catalog.pg_namespace as n
        where n.nspname = 'bubble_sync' and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    ) as may_use,
    (
        select pg_catalog.has_function_privilege(f.oid, 'EXECUTE')
        from pg_catalog.pg_proc as f
        join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
        where n.nspname = 'bubble_sync' and f.proname = 'observe' and pg_catalog.oidvectortypes(f.proargtypes) = 'text'
            and f.prorettype = 'pg_catalog.jsonb'::pg_catalog.regtype
    ) as may_observe;

-- name: call
select bubble_sync.observe(%(salt)s::text) as answer;
