-- Vault rows, by name. The value never leaves the server: it comes back as a salted digest.

-- name: observe
select id::text as id, description from vault.secrets where name = %(name)s;

-- name: digest
-- Raises 22000 when the value was encrypted under another root key.
select pg_catalog.encode(
    pg_catalog.sha256(pg_catalog.convert_to(%(salt)s || decrypted_secret, 'UTF8')), 'hex'
) as digest
from vault.decrypted_secrets
where name = %(name)s;

-- name: incoming
-- A value goes through COPY into this table: bind parameters and literals land in the server log and in WAL.
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
