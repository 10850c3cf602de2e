create function vault._encrypted(row_id uuid, plain text, row_nonce bytea)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
    return encode(
        vault._crypto_aead_det_encrypt(
            convert_to(plain, 'UTF8'), convert_to(row_id::text, 'UTF8'), 0, 'pgsodium', row_nonce
        ),
        'base64'
    );
end
$$;

-- The row is there in plain text for a moment, in WAL for longer: 0.3.1 does so, and callers must know how to avoid it.
create function vault.create_secret(
    new_secret text,
    new_name text default null,
    new_description text default '',
    new_key_id uuid default null
)
returns uuid
language plpgsql
security definer
set search_path = ''
as $$
declare
    made vault.secrets;
begin
    insert into vault.secrets (secret, name, description)
    values (new_secret, new_name, new_description)
    returning * into made;
    update vault.secrets
    set secret = vault._encrypted(made.id, new_secret, made.nonce)
    where id = made.id;
    return made.id;
end
$$;

-- Null keeps what is there, and an unknown id is no error. The old value is decrypted whether it is needed or not.
create function vault.update_secret(
    secret_id uuid,
    new_secret text default null,
    new_name text default null,
    new_description text default null,
    new_key_id uuid default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
    old vault.decrypted_secrets;
begin
    select * into old from vault.decrypted_secrets where id = secret_id;
    update vault.secrets
    set secret = vault._encrypted(old.id, coalesce(new_secret, old.decrypted_secret), old.nonce),
        name = coalesce(new_name, old.name),
        description = coalesce(new_description, old.description),
        updated_at = now()
    where id = old.id;
end
$$;

revoke all on schema vault from public;
revoke all on all tables in schema vault from public;
revoke all on all functions in schema vault from public;
