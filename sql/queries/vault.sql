-- Vault rows by name. Values leave the server only as salted digests.
-- The block in observe.sql declares `given.`.

-- name: observe
select id::text as id, name, description, updated_at from vault.secrets where name = any (given.secrets);

-- name: digest
-- Raises 22000 when the value was encrypted under another root key.
select name, pg_catalog.encode(
    pg_catalog.sha256(pg_catalog.convert_to(given.salt || decrypted_secret, 'UTF8')), 'hex'
) as digest
from vault.decrypted_secrets
where name = given.one;

-- name: digests
-- One by one: a single value that cannot be decrypted raises for all of its query.
rows := '[]';
foreach one in array secrets loop
    begin
        rows := rows || (select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(part)), '[]') from (
            -- include: vault digest
        ) as part);
    exception when data_exception or undefined_table or invalid_schema_name then
        null;
    end;
end loop;
answer := answer || pg_catalog.jsonb_build_object('digests', rows);

-- name: incoming
-- Values are sent to this table with COPY: bind parameters and literals appear in the server log and in WAL. A plan made for
-- one value has the value in it, which auto_explain can log.
set local plan_cache_mode = force_generic_plan;
create temporary table bubble_sync_incoming (value text) on commit drop;

-- name: copy_incoming
copy pg_temp.bubble_sync_incoming (value) from stdin;

-- name: create
select vault.create_secret(pg_catalog.gen_random_uuid()::text, %(name)s, %(description)s)::text as id;

-- name: set_value
select vault.update_secret(%(id)s::uuid, (select value from pg_temp.bubble_sync_incoming));

-- name: set_description
select vault.update_secret(%(id)s::uuid, new_description => %(description)s);

-- name: remove
delete from vault.secrets where id = %(id)s::uuid;
