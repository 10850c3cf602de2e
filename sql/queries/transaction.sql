-- One transaction per change. Every limit is local, so that nothing outlives it on a pooled connection.

-- name: begin
-- The lock is one for all of our changes in this database: catalog rows have no locks of their own, and two sessions
-- that grant or replace at once end in "tuple concurrently updated".
begin;
set local lock_timeout = '5s';
set local statement_timeout = '30s';
set local idle_in_transaction_session_timeout = '60s';
set local search_path = '';
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync', 0));
