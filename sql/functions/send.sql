-- Reads the key: validates the secrets of Vault and hands the request to pg_net, which sends it after commit. Called by the
-- two public functions with the caller's rights; EXECUTE for the owner only. Returns the request id, or null with a WARNING
-- when the secrets are missing. Errors never contain a secret: net.http_post raises with the whole row, key included, and
-- pg_cron would store that row in cron.job_run_details. The queries of sql/queries/sending.sql replace the `include` lines.
create or replace function bubble_sync.send(source text, action text, payload jsonb, timeout_ms integer, url_secret text, key_secret text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    url text;
    key text;
    authorization_header jsonb;
    request_id bigint;
begin
    -- include: sending secrets

    if coalesce(url, '') = '' or coalesce(key, '') = '' then
        raise warning '[%] Vault secrets not configured', source;
        return null;
    end if;

    -- include: sending headers

    begin
        request_id := net.http_post(
            url := pg_catalog.rtrim(url, '/') || '/functions/v1/bubble_sync',
            body := pg_catalog.jsonb_build_object('action', action, 'payload', payload),
            headers := pg_catalog.jsonb_build_object('Content-Type', 'application/json') || authorization_header,
            timeout_milliseconds := timeout_ms
        );
    exception when others then
        raise exception '[%] pg_net refused the request (SQLSTATE %)', source, sqlstate;
    end;
    return request_id;
end;
$function$;

comment on function bubble_sync.send(text, text, jsonb, integer, text, text) is 'bubble-sync: sends one request to the Edge Function through pg_net';
