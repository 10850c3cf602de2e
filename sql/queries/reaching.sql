-- What else sends to the Edge Function: jobs, functions, triggers, rules and defaults besides those of the stack. Left
-- alone, and reported. A call of what sends HTTP has an address, which names the endpoint, or another one, or leaves it
-- open. A function that leaves it open is a helper: its callers are looked at in the same way, with their arguments. Who
-- calls a function that sends to the endpoint sends too. No text of an object is returned: it may hold a key.

-- name: senders
-- Sources and text: sender_sources.sql, sender_text.sql.
declare
    atom constant text := '[^()'']|''[^'']*''';
    nested text := atom;
    expression text;
    http constant text := 'http(?:_get|_post|_put|_patch|_delete|_head|_request)?';
    endpoint constant text := 'bubble(?:_|_?''\s*(?:,|\|\|)\s*''_?)sync';
    endpoint_address text := '["''][^"''\s]*(?:functions/v1/+|//[^"''/\s]*(?:functions|edge)[^"''/\s]*/)' || endpoint
        || '(?:[/?#][^"''\s]*)?["'']|["''][^"'':\s]*/' || endpoint || '(?:[/?#][^"''\s]*)?["'']';
    bare_name constant text := '["'']' || endpoint || '/?(?:\?[^"'']*)?["'']';
    carriers text := '["''][\w.]*bubble_sync(?:_edge)?(?:_function)?_(?:url|uri|endpoint)["'']';
    open_end constant text := 'functions/v1/?["''%{:<]|functions\.supabase\.\w+/?["''%{:<]|''/''|''%s/%s''|[^:<>]=\s*tg_argv';
    executes constant text := '\mexecute(?=[\s(])(?!\s+(?:on|function|procedure)\M)|\mdblink|\mdo\s*''';
    setting text;
begin
    for level in 1 .. 5 loop
        nested := atom || '|\((?:' || nested || ')*\)';
    end loop;
    expression := '(?:[^(),'']|''[^'']*''|\((?:' || nested || ')*\))+';
    -- Settings and secrets whose value is the whole address: their names stand for it.
    for setting in
        select pg_catalog.split_part(one.setting, '=', 1)
        from pg_catalog.pg_db_role_setting as s
        cross join pg_catalog.unnest(s.setconfig) as one (setting)
        where pg_catalog.lower(one.setting) ~ 'functions[^=]*/bubble_sync/?$'
    loop
        carriers := carriers || '|["'']' || pg_catalog.regexp_replace(pg_catalog.lower(setting), '\W', '.', 'g') || '["'']';
    end loop;
    rows := '[]';
    begin
        rows := (
            select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(j)), '[]')
            from cron.job as j
            where not coalesce(j.jobname::text, '') = any (given.jobs)
        );
    exception when undefined_table or invalid_schema_name then
        null;
    end;
    answer := answer || pg_catalog.jsonb_build_object('reaching', (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(part)), '[]') from (
            -- include: senders found
        ) as part
    ));
end;
