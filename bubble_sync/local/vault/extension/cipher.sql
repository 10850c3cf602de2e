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

create function vault._hmac(data bytea, subkey bytea)
returns bytea
language sql
immutable
begin atomic
    select hmac(data, subkey, 'sha256');
end;

create function vault._encipher(message bytea, subkey bytea, iv bytea)
returns bytea
language sql
immutable
begin atomic
    select encrypt_iv(message, subkey, iv, 'aes-cbc/pad:pkcs');
end;

create function vault._decipher(enciphered bytea, subkey bytea, iv bytea)
returns bytea
language sql
immutable
begin atomic
    select decrypt_iv(enciphered, subkey, iv, 'aes-cbc/pad:pkcs');
end;

-- In PL/pgSQL, like every function here that gets a value: auto_explain can log the parameters of a statement in SQL.
create function vault._seal(message bytea, bound bytea, subkey bytea)
returns bytea
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    iv constant bytea := substr(vault._hmac(bound || message, vault._hmac(decode('01', 'hex'), subkey)), 1, 16);
    body constant bytea := iv || vault._encipher(message, vault._hmac(decode('02', 'hex'), subkey), iv);
begin
    return body || vault._hmac(bound || body, vault._hmac(decode('03', 'hex'), subkey));
end
$$;

-- Null where the last 32 bytes do not vouch for the rest: another key, another row, or a changed text.
create function vault._open(sealed bytea, bound bytea, subkey bytea)
returns bytea
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    body constant bytea := substr(sealed, 1, greatest(length(sealed) - 32, 0));
    tag constant bytea := substr(sealed, greatest(length(sealed) - 31, 1));
begin
    if length(body) >= 32 and tag = vault._hmac(bound || body, vault._hmac(decode('03', 'hex'), subkey)) then
        return vault._decipher(substr(body, 17), vault._hmac(decode('02', 'hex'), subkey), substr(body, 1, 16));
    end if;
    return null;
end
$$;

create function vault._crypto_aead_det_noncegen()
returns bytea
language sql
volatile
begin atomic
    select gen_random_bytes(16);
end;
