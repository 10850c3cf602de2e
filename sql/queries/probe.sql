-- Probe one key through pg_net, as the database sends requests, without a row in Vault.

-- name: incoming
-- The key is sent with COPY: bind parameters and literals appear in the server log.
set local plan_cache_mode = force_generic_plan;
create temporary table bubble_sync_probe (
    attempt integer, url text, action text, header text, value text, timeout_ms integer, request_id bigint
) on commit drop;

-- name: copy_incoming
copy pg_temp.bubble_sync_probe (attempt, url, action, header, value, timeout_ms) from stdin;

-- name: send
-- net.http_post raises with the whole row, key included: its words stay inside the block.
do $probe$
begin
    update pg_temp.bubble_sync_probe
    set request_id = net.http_post(
        url := url,
        body := pg_catalog.jsonb_build_object('action', action, 'payload', '{}'::jsonb),
        headers := pg_catalog.jsonb_build_object('Content-Type', 'application/json', header, value),
        timeout_milliseconds := timeout_ms
    )
    where request_id is null;
exception when others then
    -- What a missing privilege says is the object's name.
    raise exception using
        errcode = sqlstate, message = case sqlstate when '42501' then sqlerrm else 'pg_net refused the request' end;
end;
$probe$;

-- name: requests
select request_id, pg_catalog.now() as sent_at from pg_temp.bubble_sync_probe order by attempt;

-- name: worker
-- It looks for the worker in pg_stat_activity, which shows it to some roles only.
select net.check_worker_is_up() where pg_catalog.pg_has_role('pg_read_all_stats', 'usage');

-- name: withdraw
-- An unanswered request would keep its header, the key, in this table. The worker owns rows in flight.
delete from net.http_request_queue
where id in (select id from net.http_request_queue where id = any(%(ids)s) for update skip locked)
returning id;
