-- The only function that reads the key: validates the secrets of Vault and hands the request to pg_net, which sends it after
-- commit. Called by the two public functions with the caller's rights; EXECUTE for the owner only. Returns the request id, or
-- null with a WARNING when the secrets are missing. Errors never contain a secret: net.http_post raises with the whole row,
-- key included, and pg_cron would store that row in cron.job_run_details.
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
    if source is null or action is null or payload is null or url_secret is null or key_secret is null
        or timeout_ms is null or timeout_ms not between 1 and 120000
        or exists (
            select from pg_catalog.jsonb_each(payload) as item
            where pg_catalog.jsonb_typeof(item.value) <> 'number'
                or item.value::text !~ '^[1-9][0-9]{0,6}$'
        )
    then
        raise exception '[%] secret or number is malformed', coalesce(source, 'bubble_sync');
    end if;

    begin
        select secret.decrypted_secret into url from vault.decrypted_secrets as secret where secret.name = url_secret;
        select secret.decrypted_secret into key from vault.decrypted_secrets as secret where secret.name = key_secret;
    exception when others then
        raise exception '[%] Vault secrets cannot be read (SQLSTATE %)', source, sqlstate;
    end;

    if coalesce(url, '') = '' or coalesce(key, '') = '' then
        raise warning '[%] Vault secrets not configured', source;
        return null;
    end if;

    -- A null or a line break in a header makes pg_net send the request without it, or with one more.
    if key !~ '^[!-~]+$'
        or (url !~ '^https://([A-Za-z0-9.-]+|\[::1\])(:[0-9]{1,5})?/?$'
            and url !~ '^http://(localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\])(:[0-9]{1,5})?/?$')
    then
        raise exception '[%] secret or number is malformed', source;
    end if;

    -- A secret key is not a JWT: sent as a bearer it is rejected.
    if pg_catalog.starts_with(key, 'sb_secret_') then
        authorization_header := pg_catalog.jsonb_build_object('apikey', key);
    else
        authorization_header := pg_catalog.jsonb_build_object('Authorization', 'Bearer ' || key);
    end if;

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
