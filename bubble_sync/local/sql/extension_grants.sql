-- Hosted projects create extensions as supabase_admin and then grant. Here they are trusted, so this does the rest.
create schema platform;

create function platform.own_extension(extension_id oid)
returns void
language sql
set search_path = ''
as $$
    -- pg_cron acts as its extension's owner. The bootstrap superuser is pinned: dependencies on it are not recorded.
    update pg_catalog.pg_extension set extowner = 'supabase_admin'::regrole where oid = extension_id;
    delete from pg_catalog.pg_shdepend
    where classid = 'pg_catalog.pg_extension'::regclass and objid = extension_id and deptype = 'o';
$$;

create function platform.grant_extension(extension_name name)
returns void
language plpgsql
set search_path = ''
as $$
begin
    case extension_name
        when 'pg_cron' then
            grant usage on schema cron to postgres with grant option;
            grant execute on all functions in schema cron to postgres;
            grant all on all tables in schema cron to postgres with grant option;
            revoke all on cron.job from postgres;
            grant select on cron.job to postgres with grant option;
        when 'supabase_vault' then
            -- CREATE EXTENSION made the schema as the calling role.
            alter schema vault owner to supabase_admin;
            grant usage on schema vault to postgres with grant option;
            grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
            grant execute on function
                vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt
            to postgres with grant option;
            grant usage on schema vault to service_role;
            grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
            grant execute on function
                vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt
            to service_role;
        else
            null;
    end case;
end
$$;

create function platform.after_create_extension()
returns event_trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    made record;
begin
    for made in
        select extension.oid, extension.extname
        from pg_catalog.pg_event_trigger_ddl_commands() as command
        join pg_catalog.pg_extension as extension on extension.oid = command.objid
        where command.classid = 'pg_catalog.pg_extension'::regclass
    loop
        perform platform.own_extension(made.oid);
        perform platform.grant_extension(made.extname);
    end loop;
end
$$;

create event trigger after_create_extension on ddl_command_end when tag in ('CREATE EXTENSION')
    execute function platform.after_create_extension();
