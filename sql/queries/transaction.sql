-- One transaction per change, reading or operation. All limits and settings are local, so that nothing outlives the
-- transaction on a pooled connection. Settings of roles, databases and sessions that affect results are fixed here;
-- tests/database/test_server_settings.py covers all settings of PostgreSQL. The exception is default_transaction_read_only,
-- with which a hosted project stops writes when its disk is full.

-- name: begin
begin isolation level read committed, not deferrable;

-- name: begin_reading
begin isolation level read committed, read only, not deferrable;

-- name: limits
-- First, since a role's own limits may be too short for the following statements.
set local statement_timeout = '30s';
set local idle_in_transaction_session_timeout = '60s';

-- name: limits_since_17
set local transaction_timeout = 0;

-- name: search_path
-- Empty, so that no operator in `public` replaces the server's own.
set local search_path = '';

-- name: settings
-- How texts and moments are read and written, which rows and messages are shown, and where tables are made. An error that
-- is caught must not end the session. Nothing is compiled, and no join of many tables is searched whole: both take longer
-- than our queries on the catalog, whose cost the planner overrates.
set local standard_conforming_strings = on;
set local datestyle = 'ISO, MDY';
set local intervalstyle = postgres;
set local timezone = 'UTC';
set local bytea_output = hex;
set local quote_all_identifiers = off;
set local transform_null_equals = off;
set local row_security = on;
set local client_min_messages = notice;
set local exit_on_error = off;
set local default_tablespace = '';
set local temp_tablespaces = '';
set local default_table_access_method = heap;
set local plpgsql.extra_errors = 'none';
set local jit = off;
set local join_collapse_limit = 8;
set local from_collapse_limit = 8;

-- name: waiting_for_up
-- Another `up` may hold our lock for a change or two.
set local lock_timeout = '15s';

-- name: alone
-- One lock for all our changes in this database: catalog rows have no locks of their own, and concurrent grants or
-- replacements end in "tuple concurrently updated".
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync', 0));

-- name: waiting
set local lock_timeout = '5s';

-- name: not_waiting
-- Enough for a lock that is free.
set local lock_timeout = '1ms';

-- name: looking
-- To find out who holds a lock: a vacuum that cuts a catalog's free end makes way for us after 20 ms.
set local lock_timeout = '250ms';
