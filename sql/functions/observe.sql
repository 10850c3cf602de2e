-- Return everything that a comparison needs, for a role without other rights: the parts that `diff` and `drift` read as the
-- owner. Secrets appear as digests with the caller's salt, and texts without anything like a key. pg_temp is last in
-- search_path: by default it is first, and the caller's own types would run as the owner. Without a setting of strings of its
-- own, the caller decides what a backslash in a pattern means. The block of sql/queries/observe.sql replaces the last comment.
create or replace function bubble_sync.observe(salt text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = 'on'
as $function$
#variable_conflict use_column
declare
    monitor_role constant text := 'bubble_monitor';
    url_secret constant text := 'supabase_url';
    key_secret constant text := 'service_role_key';
begin
    if coalesce(pg_catalog.length(observe.salt), 0) < 16 then
        raise exception '[bubble_sync.observe] % needs a salt of 16 characters at least: random ones, used once',
            monitor_role;
    end if;
-- here: the block
end;
$function$;

comment on function bubble_sync.observe(text) is 'bubble-sync: what drift is told by, for the monitor role';
