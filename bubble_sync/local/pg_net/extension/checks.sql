-- Leave out the dots of a path, as RFC 3986 5.2.4 says.
create function net._without_dots(path text)
returns text
language plpgsql
immutable
as $$
declare
    kept text[] := '{}';
    parts text[] := string_to_array(substr(path, 2), '/');
    last integer := cardinality(parts);
begin
    for n in 1 .. last loop
        if parts[n] = '..' then
            kept := kept[1 : cardinality(kept) - 1];
        elsif parts[n] <> '.' then
            kept := kept || parts[n];
        end if;
        if n = last and parts[n] in ('.', '..') then
            kept := kept || '';
        end if;
    end loop;
    return '/' || array_to_string(kept, '/');
end
$$;

-- Refuse what is no URL, fill in an empty path, append the parameters. A null URL stays null: the table refuses it. What
-- cannot be sent for another reason, such as ftp, is only found out by the worker.
create function net._request_url(url text, params jsonb)
returns text
language plpgsql
immutable
as $$
declare
    scheme text := lower(substring(url from '^([A-Za-z][A-Za-z0-9+.-]*):'));
    parts text[];
    port text;
    wrong text;
begin
    -- user, host, port, path, query, fragment; up to three slashes are taken for two
    parts := regexp_match(
        url, '^[^:]+:/{1,3}([^/?#]*@)?(\[[^]/?#]*\]|[^/?#:]*)(?::([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$'
    );
    port := parts[3];
    wrong := case
        when scheme is null then 'Bad scheme'
        when scheme !~ '^(https?|ftps?|file)$' then 'Unsupported URL scheme'
        when scheme = 'file' then null
        when parts is null then 'Bad scheme'
        when parts[5] ~ '[[:space:][:cntrl:]]' then 'Bad query'
        when parts[6] ~ '[[:space:][:cntrl:]]' then 'Bad fragment'
        when parts[4] ~ '[[:space:][:cntrl:]]' then 'Bad path'
        when port !~ '^[0-9]{0,5}$' or nullif(port, '')::integer > 65535
            then 'Port number was not a decimal number between 0 and 65535'
        when parts[2] = '' then 'No host part in the URL'
        when parts[2] !~ '^(\[[0-9A-Fa-f:.]+\]|[^][:space:][:cntrl:]"<>\\^`{}|%[]+)$' then 'Bad hostname'
    end;
    if url is null or (scheme = 'file' and wrong is null) then
        return url;
    end if;
    if wrong is not null then
        raise exception 'invalid URL "%": %', url, wrong using errcode = 'internal_error';
    end if;
    return scheme || '://' || coalesce(parts[1], '') || parts[2] || coalesce(':' || nullif(port, ''), '')
        || net._without_dots(coalesce(nullif(parts[4], ''), '/'))
        || coalesce('?' || nullif(concat_ws('&', nullif(substr(parts[5], 2), ''), net._query(params)), ''), '')
        || coalesce(parts[6], '');
end
$$;
