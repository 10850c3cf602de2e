-- Settle the posts of earlier ticks, add the news of this tick, and post what is due: one post at a time for each destination
-- and, where a destination has incidents, for each condition. `news` has conditions with their lines, and `message` is for a
-- webhook. bubble_sync.alerts has the posts, without secrets. A post that fails touches no other one and not the run.
create or replace function bubble_sync.alert_deliver(destinations text, news text[], message text)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    incidents constant text[] := array['failures', 'growing', 'oldest', 'pause', 'rejected'];
    most_messages constant integer := 20;
    state bubble_sync.alerts%rowtype;
    one record;
    post jsonb;
    -- Without those of a destination that is gone.
    all_posts jsonb := '{}'::jsonb;
    line text;
    sent integer;
    due boolean;
    all_well boolean := true;
begin
    select * into state from bubble_sync.alerts;
    -- The heartbeat comes last, because it stands for the delivery of the others, too.
    for one in
        select destination.key as destination, destination.value as secret_name, condition.name as condition,
            pg_catalog.concat_ws('/', destination.key, nullif(condition.name, '')) as post_name
        from pg_catalog.jsonb_each_text(destinations::jsonb) as destination
        cross join lateral pg_catalog.unnest(
            case when destination.key in ('webhook', 'heartbeat') then array[''] else incidents end
        ) as condition (name)
        order by destination.key = 'heartbeat', destination.key, condition.name
    loop
        post := bubble_sync.alert_answer(coalesce(state.posts->one.post_name, '{"messages": []}'), null);

        line := case one.destination
            when 'webhook' then message
            when 'heartbeat' then null
            else (
                select news[place][2] from pg_catalog.generate_subscripts(news, 1) as place where news[place][1] = one.condition
            )
        end;
        -- An empty line ends an incident. Also at the first tick: this proves the key and leaves no old incident open.
        if one.destination not in ('webhook', 'heartbeat') and line is null
            and not one.condition = any (state.holding) and (post->>'open')::boolean is not false
        then
            line := '';
        end if;
        if one.destination = 'heartbeat' then
            all_well := all_well and state.holding = '{}';
            post := post || pg_catalog.jsonb_build_object('messages', case when all_well then array['all well'] else '{}' end);
        elsif line is not null then
            if one.destination <> 'webhook' then
                post := post || pg_catalog.jsonb_build_object('open', line <> '', 'messages', array(
                    select waiting.value from pg_catalog.jsonb_array_elements_text(post->'messages') with ordinality
                        as waiting (value, place)
                    where waiting.place <= (post->>'sent')::integer
                ));
            end if;
            post := pg_catalog.jsonb_set(post, '{messages}', post->'messages' || pg_catalog.to_jsonb(line));
            if pg_catalog.jsonb_array_length(post->'messages') > most_messages then
                post := post #- array['messages', coalesce(post->>'sent', '0')];
            end if;
        end if;

        -- News and a changed secret begin anew where the attempts were given up.
        if line is not null and post->>'next' = 'infinity' or post ? 'attempts' and exists (
            select from vault.secrets as secret
            where secret.name = one.secret_name and secret.updated_at > (post->>'at')::timestamptz
        ) then
            post := post - array['attempts', 'next', 'status', 'error'];
        end if;

        -- Each tick repeats a heartbeat anyway, but seldom to an address that refuses it.
        due := case when one.destination = 'heartbeat'
            then (post->>'status')::integer between 300 and 499 is not true
                or (post->>'at')::timestamptz <= pg_catalog.now() - interval '1 hour'
            else coalesce((post->>'next')::timestamptz, '-infinity') <= pg_catalog.now() end;
        if due and post->>'request' is null and post->'messages' <> '[]' then
            -- A webhook gets several messages in one post, as far as the receivers' limits allow; an incident its last state.
            select pg_catalog.count(*), case when one.destination = 'webhook'
                then pg_catalog.string_agg(chosen.value, E'\n' order by chosen.place) else post->'messages'->>-1 end
            into sent, line
            from (
                select waiting.value, waiting.place,
                    pg_catalog.sum(pg_catalog.length(waiting.value) + 1) over (order by waiting.place) as characters
                from pg_catalog.jsonb_array_elements_text(post->'messages') with ordinality as waiting (value, place)
            ) as chosen
            where chosen.place = 1 or chosen.characters <= 1500;
            post := post || pg_catalog.jsonb_build_object('at', pg_catalog.now());
            begin
                post := post || pg_catalog.jsonb_build_object('sent', sent, 'request', bubble_sync.post_alert(
                    pg_catalog.json_build_object(
                        'destination', one.destination, 'condition', one.condition, 'line', line
                    )::text,
                    one.secret_name
                ));
            exception when raise_exception then
                raise warning '%', sqlerrm;
                post := bubble_sync.alert_answer(post, pg_catalog.replace(sqlerrm, '[bubble_sync_alert] ', ''));
            end;
        end if;
        all_well := all_well and post->>'next' is distinct from 'infinity';
        all_posts := all_posts || pg_catalog.jsonb_build_object(one.post_name, post);
    end loop;

    update bubble_sync.alerts as known set posts = all_posts where known.posts <> all_posts;
end;
$function$;

comment on function bubble_sync.alert_deliver(text, text[], text) is 'bubble-sync: posts the alerts to their destinations';
