-- Post one line to a destination of the alerts: as a message to the webhook, as an event of PagerDuty or Opsgenie that opens
-- an incident or with an empty line ends it, or as a call of the heartbeat's URL. `message` is a JSON object with destination,
-- condition and line; the secret is a URL or a key, and anyone with it may post. EXECUTE for the owner only.
-- Errors never contain it: net.http_post raises with the whole row, and pg_cron would store that row in
-- cron.job_run_details. Raises when posting is impossible.
create or replace function bubble_sync.post_alert(message text, webhook_secret text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    stack_name constant text := 'local';
    project_ref constant text := '';
    pager_duty_url constant text := 'https://events.pagerduty.com';
    opsgenie_url constant text := 'https://api.opsgenie.com';
    destination constant text := message::jsonb->>'destination';
    condition constant text := message::jsonb->>'condition';
    line constant text := message::jsonb->>'line';
    source constant text := pg_catalog.format('bubble-sync, stack %s%s', stack_name, ' (' || nullif(project_ref, '') || ')');
    next_step constant text := 'bubble-sync doctor --stack ' || stack_name;
    incident constant text := 'bubble-sync-' || pg_catalog.concat_ws('-', nullif(project_ref, ''), stack_name, condition);
    severity constant text := case
        when condition in ('oldest', 'rejected') then 'critical'
        when condition = 'failures' then 'error'
        else 'warning'
    end;
    secret text;
    url text;
    body jsonb;
    headers jsonb := '{"Content-Type": "application/json"}'::jsonb;
begin
    begin
        select stored.decrypted_secret into secret
        from vault.decrypted_secrets as stored
        where stored.name = webhook_secret;
    exception when others then
        raise exception '[bubble_sync_alert] Vault secret cannot be read (SQLSTATE %)', sqlstate;
    end;
    if coalesce(secret, '') = '' then
        raise exception '[bubble_sync_alert] Vault secret not configured';
    end if;

    case destination
        when 'webhook' then
            url := secret;
            body := pg_catalog.jsonb_build_object('text', line);
        when 'heartbeat' then
            url := secret;
        when 'pagerduty' then
            if secret !~ '^[0-9A-Za-z]{32}$' then
                raise exception '[bubble_sync_alert] secret is malformed';
            end if;
            url := pager_duty_url || '/v2/enqueue';
            body := pg_catalog.jsonb_build_object('routing_key', secret, 'dedup_key', pg_catalog.left(incident, 255),
                'event_action', case when line = '' then 'resolve' else 'trigger' end);
            if line <> '' then
                body := body || pg_catalog.jsonb_build_object('client', 'bubble-sync', 'payload',
                    pg_catalog.jsonb_build_object(
                        'summary', pg_catalog.left(source || ': ' || line, 1024), 'source', source, 'severity', severity,
                        'component', 'bubble-sync', 'class', condition,
                        'custom_details', pg_catalog.jsonb_build_object('next', next_step)
                    ));
            end if;
        when 'opsgenie' then
            if secret !~ '^[0-9A-Za-z._=-]{16,255}$' then
                raise exception '[bubble_sync_alert] secret is malformed';
            end if;
            headers := headers || pg_catalog.jsonb_build_object('Authorization', 'GenieKey ' || secret);
            if line = '' then
                url := pg_catalog.format('%s/v2/alerts/%s/close?identifierType=alias', opsgenie_url, incident);
                body := pg_catalog.jsonb_build_object('source', pg_catalog.left(source, 100));
            else
                url := opsgenie_url || '/v2/alerts';
                body := pg_catalog.jsonb_build_object(
                    'message', pg_catalog.left(pg_catalog.format('bubble-sync, stack %s: %s', stack_name, line), 130),
                    'alias', incident, 'description', pg_catalog.format(E'%s: %s\nNext: %s', source, line, next_step),
                    'source', pg_catalog.left(source, 100), 'tags', pg_catalog.jsonb_build_array('bubble-sync', condition),
                    'priority', case severity when 'critical' then 'P1' when 'error' then 'P2' else 'P3' end
                );
            end if;
    end case;

    if url !~ ('^(https://([A-Za-z0-9.-]+|\[::1\])|http://(localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]))'
        || '(:[0-9]{1,5})?/[A-Za-z0-9._~!$&''()*+,;=:@%/?-]+$')
    then
        raise exception '[bubble_sync_alert] secret is malformed';
    end if;

    begin
        -- A plain GET is a heartbeat for every service.
        return case when body is null then net.http_get(url := url, timeout_milliseconds := 10000)
            else net.http_post(url := url, body := body, headers := headers, timeout_milliseconds := 10000) end;
    exception when others then
        raise exception '[bubble_sync_alert] pg_net refused the request (SQLSTATE %)', sqlstate;
    end;
end;
$function$;

comment on function bubble_sync.post_alert(text, text) is 'bubble-sync: posts one message to the webhook';
