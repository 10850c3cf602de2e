-- The outcomes of requests: our log, and pg_net's answers that no tick has read yet. `bubble_sync.settle` and `judge` share
-- `body` and `verdict`: in `settle` the first `=` of `verdict` sets a column, in `judge` a variable.

-- name: at_a_glance
-- What can be seen of an answer to whatever request: a web page, and a body that begins with a no, are not good either.
select id, created, status_code, timed_out, error_msg,
    coalesce(status_code between 200 and 299, false) and coalesce(
        pg_catalog.encode(pg_catalog.substr(pg_catalog.textsend(content), 1, 2000), 'escape')
            !~ '^\s*<|"(success|ok)"\s*:\s*false', true) as good
from net._http_response;

-- name: body
-- What the body of an answer says, for `bubble_sync.settle`: whether it is JSON or nothing, a yes, a no, counts; at its top or
-- under `data`. Any text may stand there, and PostgreSQL 15 has no `is json`: nothing but guarded casts look at it, and of a
-- text with bytes or escapes that the server does not take nothing is read. Nor is one of more than 2 MB.
reply := null;
is_json := true;
says_yes := false;
says_no := false;
processed_count := null;
failed_count := null;
begin
    if pg_catalog.octet_length(answer.content) <= 2000000 then
        reply := nullif(pg_catalog.btrim(answer.content, e' \t\n\r'), '')::json;
    end if;
exception
    when statement_too_complex then
        null; -- so deeply nested that it is read no further
    when others then
        is_json := false;
end;
begin
    select coalesce(pg_catalog.bool_or(word.key in ('success', 'ok') and word.value = 'true'), false),
        coalesce(pg_catalog.bool_or(case
            when word.key in ('success', 'ok') then word.value = 'false' or (word.value = '0' and not word.is_count)
            when word.key in ('error', 'errors') then word.value !~ '^(|0|false|\[\s*\]|\{\s*\})$'
        end), false),
        coalesce(max(word.number) filter (where word.key = 'processed'), max(word.number) filter (
            where word.key ~* '^(total_?)?(processed|success|succeeded|successful|completed|synced)(_?(count|items))?$'
        )),
        max(word.number) filter (where word.key ~* '^(total_?)?(failed|failures)(_?(count|items))?$')
    into says_yes, says_no, processed_count, failed_count
    from (
        select pair.key, pair.value, case when pair.value ~ '^[0-9]{1,9}$' then pair.value::integer end as number,
            -- Whether `"success": 0` is a count: next to a yes, or to another count.
            pg_catalog.bool_or(case when pair.key in ('success', 'ok') then pair.value = 'true' else pair.value ~ '^[0-9]{1,9}$'
                and pair.key ~* '^(total_?)?(processed|success|succeeded|successful|completed|synced|failed|failures)(_?(count|items))?$'
            end) over () as is_count
        from (select reply as object union all select reply->'data') as place
        cross join lateral pg_catalog.json_each_text(
            case pg_catalog.json_typeof(place.object) when 'object' then place.object end
        ) as pair
    ) as word;
exception when others then
    null;
end;

-- name: verdict
verdict = case
    when not answer.answered then 'lost'
    when answer.timed_out or (answer.status_code is null and answer.error_msg ~* '^timeout') then 'timed out'
    when answer.status_code is null or answer.status_code not between 200 and 299 then 'rejected'
    when not is_json then 'not the function''s answer'
    when failed_count > 0 or (says_no and (says_yes or processed_count > 0)) then 'partial'
    when says_no then 'refused by its body'
    when says_yes or processed_count is not null or failed_count is not null then 'ok'
    else 'answered'
end

-- name: judge
-- The answers that pg_net has to the requests `asked`, judged by the texts of `bubble_sync.settle`. `created` is when pg_net
-- began the batch. `content` is how the body begins; as bytes, since pg_net stores what came.
declare
    portal refcursor := 'bubble_sync_answer';
    answer record;
    reply json;
    is_json boolean;
    says_yes boolean;
    says_no boolean;
    processed_count integer;
    failed_count integer;
    verdict text;
    judged jsonb := '[]';
begin
    for answer in
        select true as answered, response.*
        from pg_catalog.jsonb_to_recordset(%(asked)s::jsonb) as asked (request_id bigint, sent_at timestamptz)
        join net._http_response as response
            on response.id = asked.request_id and response.created >= asked.sent_at - interval '1 minute'
        -- The table's only index.
        where response.created >= %(since)s::timestamptz - interval '1 minute'
        order by response.created
    loop
        -- include: outcomes body
        ;
        -- include: outcomes verdict
        ;
        judged := judged || pg_catalog.jsonb_build_object(
            'request_id', answer.id, 'created', answer.created, 'verdict', verdict, 'status_code', answer.status_code,
            'error', answer.error_msg, 'processed', processed_count, 'failed', failed_count,
            'content', pg_catalog.substr(pg_catalog.textsend(answer.content), 1, 2000)
        );
    end loop;
    open portal for
        select *, pg_catalog.clock_timestamp() as read_at
        from pg_catalog.jsonb_to_recordset(judged) as answers (
            request_id bigint, created timestamptz, verdict text, status_code integer, error text, processed integer,
            failed integer, content bytea
        );
end

-- name: newest
-- The newest twenty answered requests of each function, `age` 1 the newest, with those whose answer no tick has read yet. And
-- the newest one before the last two minutes: with a schedule in seconds twenty are younger. A function that has sent nothing
-- for a quarter of an hour has nothing to send: its last answer is past once a later one of another function is good.
with newest as materialized (
    select * from bubble_sync.dispatches order by dispatch_id desc limit 1000
), answered as (
    select n.*, pg_catalog.row_number() over (partition by n.function order by n.dispatch_id desc) as age
    from newest as n
    left join net._http_response as r on r.id = n.request_id and r.created >= n.sent_at - interval '1 minute'
    where n.settled_at is not null or r.id is not null
)
select * from answered
where (age <= 20 or (function, age) in (
        select older.function, min(older.age) from answered as older
        where older.sent_at < pg_catalog.now() - interval '2 minutes'
        group by older.function
    ))
    and function not in (
        select last.function from answered as last
        where last.age = 1 and last.sent_at < pg_catalog.now() - interval '15 minutes'
            and last.sent_at < (select max(good.sent_at) from answered as good where good.verdict in ('ok', 'partial'))
    )
order by function, age;

-- name: newest_good
-- The newest good answer to the processor while pg_net keeps it, and whether that answer says `"claimed": true`: then the
-- Edge Function claims its items, so that two calls at a time take different ones. A text in JSON with these quotes has them
-- escaped.
select good.request_id, good.sent_at, coalesce(response.content ~ '"claimed"\s*:\s*true', false) as claimed
from (
    select newest.request_id, newest.sent_at
    from (select * from bubble_sync.dispatches as dispatch order by dispatch.dispatch_id desc limit 100) as newest
    where newest.function = 'bubble_sync_processor' and newest.verdict in ('ok', 'partial')
    order by newest.dispatch_id desc
    limit 1
) as good
join net._http_response as response
    on response.id = good.request_id and response.created >= good.sent_at - interval '1 minute'
limit 1;

-- name: claims
coalesce((
    select answer.claimed from (
        -- include: outcomes newest_good
    ) as answer
), false)
