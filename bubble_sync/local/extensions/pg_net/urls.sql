-- Every byte outside the unreserved set of RFC 3986 becomes %XX.
create function net._urlencode_string(string varchar)
returns text
language sql
immutable
strict
as $$
    select coalesce(
        string_agg(
            case
                when letter ~ '^[-A-Za-z0-9._~]$' collate "C" then letter
                else regexp_replace(upper(encode(convert_to(letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
            end,
            '' order by place
        ),
        ''
    )
    from regexp_split_to_table(string, '') with ordinality as letters (letter, place)
$$;

-- Refuse what cannot be sent, fill in an empty path, append the parameters. A null URL stays null: the table refuses it.
create function net._request_url(url text, params jsonb)
returns text
language plpgsql
immutable
as $$
declare
    parts text[];
    query text;
begin
    if url is null then
        return null;
    end if;
    if url = '' or url ~ '^/' or url ~ '[[:space:][:cntrl:]]' then
        raise exception 'invalid URL "%": malformed input', url using errcode = 'internal_error';
    end if;
    if url !~* '^https?:' then
        raise exception 'invalid URL "%": Unsupported URL scheme', url using errcode = 'internal_error';
    end if;
    -- scheme, authority, path, query, fragment
    parts := regexp_match(url, '^([A-Za-z]+)://([^/?#]+)([^?#]*)(?:\?([^#]*))?(#.*)?$');
    if parts is null
        or parts[2] !~ '^([^@]*@)?(\[[0-9A-Fa-f:.]+\]|[^]@:[]+)(:[0-9]{0,5})?$'
        or substring(parts[2] from ':([0-9]+)$')::integer > 65535
    then
        raise exception 'invalid URL "%": no valid host', url using errcode = 'internal_error';
    end if;
    select string_agg(net._urlencode_string(key) || '=' || net._urlencode_string(coalesce(value, '')), '&')
    into query
    from jsonb_each_text(params);
    query := nullif(concat_ws('&', nullif(parts[4], ''), query), '');
    return lower(parts[1]) || '://' || parts[2]
        || case when parts[3] = '' then '/' else parts[3] end
        || coalesce('?' || query, '')
        || coalesce(parts[5], '');
end
$$;
