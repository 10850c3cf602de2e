-- The outcomes of requests: our log, and pg_net's answers that no tick has read yet.

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
            when word.key in ('success', 'ok') then word.value = 'false'
            when word.key in ('error', 'errors') then word.value !~ '^(|0|false|\[\s*\]|\{\s*\})$'
        end), false),
        coalesce(max(word.number) filter (where word.key = 'processed'), max(word.number) filter (
            where word.key ~* '^(total_?)?(processed|success|succeeded|successful|completed|synced)(_?(count|items))?$'
        )),
        max(word.number) filter (where word.key ~* '^(total_?)?(failed|failures)(_?(count|items))?$')
    into says_yes, says_no, processed_count, failed_count
    from (
        select pair.key, pair.value, case when pair.value ~ '^[0-9]{1,9}$' then pair.value::integer end as number
        from (select reply as object union all select reply->'data') as place
        cross join lateral pg_catalog.json_each_text(
            case pg_catalog.json_typeof(place.object) when 'object' then place.object end
        ) as pair
    ) as word;
exception when others then
    null;
end;

-- name: newest
-- The newest twenty answered requests of each function, `age` 1 the newest. An answer that pg_net has and no tick has
-- read yet comes with its body, of the others the beginning; as bytes, since pg_net stores what came.
with newest as materialized (
    select * from bubble_sync.dispatches order by dispatch_id desc limit 1000
), answered as (
    select n.*, r.id is not null as remembered, r.status_code as answer_status, r.timed_out, r.error_msg, r.content,
        pg_catalog.row_number() over (partition by n.function order by n.dispatch_id desc) as age
    from newest as n
    left join net._http_response as r on r.id = n.request_id and r.created >= n.sent_at - interval '1 minute'
    where n.settled_at is not null or r.id is not null
)
select function, runid, request_id, waiting, sent_at, settled_at, skipped, duration_ms, processed, failed, status_code, error,
    verdict, remembered, answer_status, coalesce(timed_out, false) as timed_out, error_msg, age,
    case
        when settled_at is not null then pg_catalog.substr(pg_catalog.textsend(content), 1, 2000)
        when pg_catalog.octet_length(content) <= 2000000 then pg_catalog.textsend(content)
    end as content
from answered
where age <= 20
order by function, age;
