-- Return the state of a destination's post after the answer of pg_net. Delivered messages go; a failed post gets the time of
-- its next attempt: at once, then after 1, 3, 7, ... minutes, at most an hour apart. After 12 attempts, or a status that no
-- repetition changes, that time is never. `error` is the reason of a post that pg_net did not even get.
create or replace function bubble_sync.alert_answer(post jsonb, error text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $function$
declare
    attempts constant integer := coalesce((post->>'attempts')::integer, 0) + 1;
    sent_at constant timestamptz := (post->>'at')::timestamptz;
    status_code integer;
    given_up boolean;
begin
    if error is null then
        if post->>'request' is null then
            return post;
        end if;
        -- As in `settle`: the index is on `created`, and after five minutes outside the queue no answer comes any more.
        select response.status_code into status_code
        from net._http_response as response
        where response.id = (post->>'request')::bigint and response.created >= sent_at - interval '1 minute';
        if not found and (
            sent_at > pg_catalog.clock_timestamp() - interval '5 minutes'
            or exists (select from net.http_request_queue as waiting where waiting.id = (post->>'request')::bigint)
        ) then
            return post;
        end if;
        if status_code between 200 and 299 then
            return post - array['request', 'sent', 'attempts', 'next', 'status', 'error'] || pg_catalog.jsonb_build_object(
                'messages', array(
                    select message.value
                    from pg_catalog.jsonb_array_elements(post->'messages') with ordinality as message (value, place)
                    where message.place > (post->>'sent')::integer
                    order by message.place
                )
            );
        end if;
    end if;

    given_up := attempts >= 12 or status_code >= 300 and status_code < 500 and status_code not in (408, 425, 429);
    return pg_catalog.jsonb_strip_nulls(post - array['request', 'sent'] || pg_catalog.jsonb_build_object(
        'attempts', attempts,
        'next', case when given_up then 'infinity'
            else sent_at + least(60, pg_catalog.power(2, least(12, attempts) - 1) - 1) * interval '1 minute' end,
        'status', status_code,
        'error', error
    ));
end;
$function$;

comment on function bubble_sync.alert_answer(jsonb, text) is 'bubble-sync: what became of a post of the alerts';
