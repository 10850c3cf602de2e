-- Parts of the functions that send: `send` and `record` for the jobs, `wake` for an insert.

-- name: secrets
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

-- name: headers
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

-- name: forget
delete from bubble_sync.dispatches as dispatch
where dispatch.dispatch_id in (
    select oldest.dispatch_id from bubble_sync.dispatches as oldest
    where oldest.sent_at < pg_catalog.now() - kept_for
    order by oldest.sent_at
    limit 100
    for update skip locked
);
