-- An answer of any HTTP status is a success here. An unknown request and one still on its way look the same, and both
-- are waited for without end.
create function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
language plpgsql
as $$
declare
    found_row net._http_response;
begin
    loop
        select * into found_row from net._http_response as response where response.id = request_id;
        exit when found or async;
        perform pg_sleep(0.05);
    end loop;
    if found_row.id is null then
        return ('ERROR', 'request matching request_id not found', null)::net.http_response_result;
    end if;
    if found_row.error_msg is not null then
        return ('ERROR', found_row.error_msg, null)::net.http_response_result;
    end if;
    return (
        'SUCCESS',
        'ok',
        (found_row.status_code, found_row.headers, found_row.content)::net.http_response
    )::net.http_response_result;
end
$$;
