create table vault.secrets (
    id uuid primary key default gen_random_uuid(),
    name text,
    description text not null default '',
    secret text not null,
    key_id uuid,
    nonce bytea default vault._crypto_aead_det_noncegen(),
    created_at timestamptz not null default current_timestamp,
    updated_at timestamptz not null default current_timestamp
);

create unique index on vault.secrets (name) where name is not null;

select pg_catalog.pg_extension_config_dump('vault.secrets', '');

create function vault._crypto_aead_det_encrypt(
    message bytea,
    additional bytea,
    key_id bigint,
    context bytea default 'pgsodium',
    nonce bytea default null
)
returns bytea
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
    return vault._seal(message, additional || coalesce(nonce, ''), vault._subkey(key_id, context));
end
$$;

create function vault._crypto_aead_det_decrypt(
    message bytea,
    additional bytea,
    key_id bigint,
    context bytea default 'pgsodium',
    nonce bytea default null
)
returns bytea
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
    opened bytea := vault._open(message, additional || coalesce(nonce, ''), vault._subkey(key_id, context));
begin
    if length(message) < 32 then
        raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid message' using errcode = 'data_exception';
    end if;
    if opened is null and message is not null then
        raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid ciphertext' using errcode = 'data_exception';
    end if;
    return opened;
end
$$;

-- PostgreSQL checks the functions of a view as the caller: reading needs EXECUTE on the decryption too.
create view vault.decrypted_secrets as
select
    id,
    name,
    description,
    secret,
    convert_from(
        vault._crypto_aead_det_decrypt(
            decode(secret, 'base64'), convert_to(id::text, 'UTF8'), 0, 'pgsodium', nonce
        ),
        'UTF8'
    ) as decrypted_secret,
    key_id,
    nonce,
    created_at,
    updated_at
from vault.secrets;
