-- The worker's session holds an advisory lock for as long as it lives: 1885822830 spells "pg_n".
create function net._worker_pid()
returns integer
language sql
stable
as $$
    select held.pid
    from pg_catalog.pg_locks as held
    where held.locktype = 'advisory'
        and held.classid = 1885822830
        and held.objid = 1
        and held.objsubid = 2
        and held.granted
        and held.database = (select oid from pg_catalog.pg_database where datname = current_database())
$$;

create function net.check_worker_is_up()
returns void
language plpgsql
as $$
begin
    if net._worker_pid() is null then
        raise exception 'the pg_net background worker is not up';
    end if;
end
$$;

create function net.wake()
returns void
language sql
as $$
    select pg_catalog.pg_notify('pg_net_wake', '')
$$;

-- The worker first ends the batch that it is sending.
create function net.worker_restart()
returns boolean
language sql
as $$
    select true from pg_catalog.pg_notify('pg_net_restart', '')
$$;

create function net.wait_until_running()
returns void
language plpgsql
as $$
begin
    while net._worker_pid() is null loop
        perform pg_sleep(0.02);
    end loop;
end
$$;
