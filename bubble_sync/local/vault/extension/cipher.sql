-- The root key never enters the database: it is read from a file, whose path the server's configuration says. Read there
-- and not with current_setting, which every session may set for itself. pg_temp is last in search_path: by default it is
-- first, also for the types of variables.
create function vault._root_key()
returns bytea
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    path text;
    content text;
begin
    select setting into path
    from pg_catalog.pg_file_settings
    where name = 'vault.getkey_script' and applied;
    content := btrim(pg_catalog.pg_read_file(path, 0, 4096, true), E' \n');
    if content is null or content !~ '^[0-9a-f]{64}$' then
        raise exception 'supabase_vault: no server secret key defined' using errcode = 'data_exception';
    end if;
    return decode(content, 'hex');
end
$$;

-- These bodies are parsed here, so that they find pgcrypto in whatever schema it is or will be moved to.
create function vault._subkey(key_id bigint, context bytea)
returns bytea
language sql
stable
begin atomic
    select hmac(context || convert_to(key_id::text, 'UTF8'), vault._root_key(), 'sha256');
end;

create function vault._seal(message bytea, bound bytea, subkey bytea)
returns bytea
language sql
immutable
strict
begin atomic
    with started as (
        select substr(hmac(bound || message, hmac('\x01', subkey, 'sha256'), 'sha256'), 1, 16) as iv
    ), enciphered as (
        select iv || encrypt_iv(message, hmac('\x02', subkey, 'sha256'), iv, 'aes-cbc/pad:pkcs') as body from started
    )
    select body || hmac(bound || body, hmac('\x03', subkey, 'sha256'), 'sha256') from enciphered;
end;

-- Null where the last 32 bytes do not vouch for the rest: another key, another row, or a changed text.
create function vault._open(sealed bytea, bound bytea, subkey bytea)
returns bytea
language sql
immutable
strict
begin atomic
    with parts as (
        select
            substr(sealed, 1, greatest(length(sealed) - 32, 0)) as body,
            substr(sealed, greatest(length(sealed) - 31, 1)) as tag
    )
    select case
        when length(body) >= 32 and tag = hmac(bound || body, hmac('\x03', subkey, 'sha256'), 'sha256')
        then decrypt_iv(substr(body, 17), hmac('\x02', subkey, 'sha256'), substr(body, 1, 16), 'aes-cbc/pad:pkcs')
    end
    from parts;
end;

create function vault._crypto_aead_det_noncegen()
returns bytea
language sql
volatile
begin atomic
    select gen_random_bytes(16);
end;
