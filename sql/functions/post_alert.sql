-- Post one message to the alerts' webhook, whose URL is a secret that allows anyone to post. Called by `alert` with the
-- caller's rights; EXECUTE for the owner only. Errors never contain the URL: net.http_post raises with the whole row, and
-- pg_cron would store that row in cron.job_run_details. Raises when posting is impossible, so that the run fails.
create or replace function bubble_sync.post_alert(message text, webhook_secret text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    url text;
begin
    begin
        select secret.decrypted_secret into url
        from vault.decrypted_secrets as secret
        where secret.name = webhook_secret;
    exception when others then
        raise exception '[bubble_sync_alert] Vault secret cannot be read (SQLSTATE %)', sqlstate;
    end;

    if coalesce(url, '') = '' then
        raise exception '[bubble_sync_alert] Vault secret not configured';
    end if;
    if url !~ ('^(https://([A-Za-z0-9.-]+|\[::1\])|http://(localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]))'
        || '(:[0-9]{1,5})?/[A-Za-z0-9._~!$&''()*+,;=:@%/?-]+$')
    then
        raise exception '[bubble_sync_alert] secret is malformed';
    end if;

    begin
        return net.http_post(
            url := url,
            body := pg_catalog.jsonb_build_object('text', message),
            headers := '{"Content-Type": "application/json"}'::jsonb,
            timeout_milliseconds := 10000
        );
    exception when others then
        raise exception '[bubble_sync_alert] pg_net refused the request (SQLSTATE %)', sqlstate;
    end;
end;
$function$;

comment on function bubble_sync.post_alert(text, text) is 'bubble-sync: posts one message to the webhook';
