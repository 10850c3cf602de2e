-- Record the outcome of each dispatch without a verdict: pg_net's answer, or the certainty of none. Called at every tick;
-- writes nothing while no answer is outstanding. The caller catches errors. The queries of sql/queries/outcomes.sql
-- replace the `include` lines.
create or replace function bubble_sync.settle()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
set lock_timeout = '1s'
as $function$
declare
    answer record;
    reply json;
    is_json boolean;
    says_yes boolean;
    says_no boolean;
    processed_count integer;
    failed_count integer;
    took_ms integer;
begin
    if not exists (select from bubble_sync.dispatches as dispatch where dispatch.settled_at is null) then
        return;
    end if;

    -- The responses are indexed by `created` alone: when pg_net began the batch, which may be a moment before the request
    -- was written. No answer will come to a request that is neither answered nor queued: a crash has emptied both tables,
    -- or the answer was forgotten. Up to pg_net 0.17 one on its way is not in the queue; none is for five minutes.
    for answer in
        select dispatch.dispatch_id, dispatch.sent_at, response.id is not null as answered, response.status_code,
            response.content, response.headers, response.error_msg, response.timed_out
        from bubble_sync.dispatches as dispatch
        left join net._http_response as response
            on response.id = dispatch.request_id and response.created >= dispatch.sent_at - interval '1 minute'
        where dispatch.settled_at is null
            and (response.id is not null or (
                dispatch.sent_at < pg_catalog.clock_timestamp() - interval '5 minutes'
                and not exists (select from net.http_request_queue as waiting where waiting.id = dispatch.request_id)
            ))
        order by dispatch.dispatch_id
        limit 100
        for update of dispatch skip locked
    loop
        -- include: outcomes body

        -- `created` is when the batch began. The endpoint's own clock tells when it answered, to the second.
        begin
            took_ms := coalesce(
                pg_catalog.substring(answer.error_msg, 'Total time: ([0-9]+)')::numeric,
                1000 * extract(epoch from
                    coalesce(answer.headers->>'date', answer.headers->>'Date')::timestamptz - answer.sent_at)
            )::integer;
        exception when others then
            took_ms := null;
        end;

        -- Before pg_net 0.19.6, timed_out is null for every failure.
        update bubble_sync.dispatches as dispatch
        set settled_at = pg_catalog.clock_timestamp(), status_code = answer.status_code,
            duration_ms = case when took_ms > -1000 then greatest(0, took_ms) end,
            error = pg_catalog.left(answer.error_msg, 500), processed = processed_count, failed = failed_count,
            -- include: outcomes verdict
        where dispatch.dispatch_id = answer.dispatch_id;
    end loop;
end;
$function$;

comment on function bubble_sync.settle() is 'bubble-sync: writes down the answers to what was sent';
