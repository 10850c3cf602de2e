-- Every byte outside the unreserved set of RFC 3986 becomes %XX.
create function net._urlencode_string(string varchar)
returns text
language sql
immutable
as $$
    select case when string is not null then coalesce(
        string_agg(
            case
                when letter ~ '^[-A-Za-z0-9._~]$' collate "C" then letter
                else regexp_replace(upper(encode(convert_to(letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
            end,
            '' order by place
        ),
        ''
    ) end
    from regexp_split_to_table(string, '') with ordinality as letters (letter, place)
$$;

-- Parameters without a value are left out, and what is appended has small hexadecimal digits.
create function net._query(params jsonb)
returns text
language sql
immutable
as $$
    select string_agg(part, '&' order by place)
    from (
        select place, string_agg(
            case when n = 1 then piece else '%' || lower(left(piece, 2)) || substr(piece, 3) end, '' order by n
        ) as part
        from jsonb_each_text(params) with ordinality as pairs (key, value, place),
            string_to_table(net._urlencode_string(key) || '=' || net._urlencode_string(value), '%')
                with ordinality as pieces (piece, n)
        group by place
    ) as parts
$$;
