-- What else sends to the Edge Function, or calls what does: jobs, functions and triggers besides those of the stack. Left
-- alone, and reported. No source is returned: it may hold a key.
-- What begins with `given.` is declared by the block in observe.sql.

-- name: find
-- A source sends when it, or a helper that it gives the address or the name, has a call over HTTP. `strong` is an address
-- of the endpoint, `weak` its name alone, which counts where the address is made of a name (`joins`).
begin
    rows := (select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(j)) from cron.job as j);
exception when undefined_table or invalid_schema_name then
    rows := null;
end;
answer := answer || pg_catalog.jsonb_build_object('senders', (
    with recursive
    -- include: senders_sources sources
    , asked as materialized (
        select s.id, s.raw, s.text,
            -- include: source_text code
            as code
        from (
            select s.id, s.raw,
                -- include: source_text text
                as text
            from source as s
            where s.raw ~ 'bubble|process_queue|sync_queue'
            -- Worked out once.
            offset 0
        ) as s
    ), judged as materialized (
        select a.*, a.code ~ w.http and (
                a.text ~ w.strong or (a.text ~ w.weak and a.text ~ w.joins) or a.raw ~ 'process_queue_data_api'
                -- One that reads the queue, and sends to where no text says, and no word tells that it informs somebody.
                or (a.raw ~ '\msync_queue\M'
                    and a.raw !~ '://|functions/v1/|slack|discord|teams|hook|alert|notif|mail|monitor|report|ping|health')
            ) as sends,
            a.text ~ w.strong as strong
        from asked as a
        cross join word as w
        where a.text ~ w.strong or a.text ~ w.weak or a.raw ~ 'process_queue_data_api|\msync_queue\M'
    )
    -- include: senders_calls reaching
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(told) order by told.kind, told.jobid, told.name), '[]')
    from (
        select distinct on (s.id) s.kind, s.jobid, s.username, s.active, s.mine, r.through,
            case s.kind
                when 'job' then s.name
                when 'function' then s.oid::pg_catalog.regprocedure::text
                else (select pg_catalog.format('%I on %s', t.tgname, t.tgrelid::pg_catalog.regclass)
                    from pg_catalog.pg_trigger as t where t.oid = s.oid)
            end as name
        from reaching as r
        join source as s on s.id = r.id
        order by s.id, r.through nulls first
    ) as told
));
