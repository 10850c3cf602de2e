-- What the role postgres may do, and the database's settings. Can be run again: it restores what a test took away.
alter role postgres nosuperuser createrole createdb bypassrls login inherit;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

alter database postgres set search_path = "$user", public, extensions;
alter database postgres set statement_timeout = '2min';
