-- The one writer of the queue. The notification is delivered at commit, so a rolled back request is never sent.
create function net._queue_request(
    method net.http_method,
    url text,
    params jsonb,
    headers jsonb,
    body bytea,
    timeout_milliseconds integer
)
returns bigint
language plpgsql
as $$
declare
    request_id bigint;
begin
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (method, net._request_url(url, params), headers, body, timeout_milliseconds)
    returning id into request_id;
    perform net.wake();
    return request_id;
end
$$;

create function net.http_get(
    url text,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{}'::jsonb,
    timeout_milliseconds integer default 5000
)
returns bigint
language plpgsql
as $$
begin
    return net._queue_request('GET', url, params, headers, null, timeout_milliseconds);
end
$$;

create function net.http_delete(
    url text,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{}'::jsonb,
    timeout_milliseconds integer default 5000,
    body jsonb default null
)
returns bigint
language plpgsql
as $$
begin
    return net._queue_request('DELETE', url, params, headers, convert_to(body::text, 'UTF8'), timeout_milliseconds);
end
$$;

create function net.http_post(
    url text,
    body jsonb default '{}'::jsonb,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
    timeout_milliseconds integer default 5000
)
returns bigint
language plpgsql
as $$
declare
    content_type text;
begin
    select value into content_type from jsonb_each_text(headers) where lower(key) = 'content-type' limit 1;
    if content_type is null then
        headers := headers || '{"Content-Type": "application/json"}'::jsonb;
    elsif content_type <> 'application/json' then
        raise exception 'Content-Type header must be "application/json"';
    end if;
    return net._queue_request('POST', url, params, headers, convert_to(body::text, 'UTF8'), timeout_milliseconds);
end
$$;
