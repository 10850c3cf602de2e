-- Hosted projects let postgres drop these too: for the time of the command they are its own.
create function platform.around_drop_extension()
returns event_trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    if tg_event = 'ddl_command_start' then
        update pg_catalog.pg_extension set extowner = 'postgres'::regrole
        where extname = any (array['pg_cron', 'pg_net', 'supabase_vault', 'pgcrypto']);
    else
        perform platform.own_extension(oid) from pg_catalog.pg_extension where extowner = 'postgres'::regrole;
    end if;
end
$$;

create event trigger before_drop_extension on ddl_command_start when tag in ('DROP EXTENSION')
    execute function platform.around_drop_extension();
create event trigger after_drop_extension on ddl_command_end when tag in ('DROP EXTENSION')
    execute function platform.around_drop_extension();
