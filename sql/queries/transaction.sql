-- One transaction per change, one per reading, one per operation. Every limit is local, so that nothing outlives it on a
-- pooled connection; an empty search_path for what is ours, so that nobody's operator in `public` stands in for the
-- server's own. Nothing is compiled there: that takes longer than our queries on the catalog, whose cost the planner
-- overrates. Moments are written in ISO form, whatever the role is set to: other forms are not read.

-- name: begin
-- The lock is one for all of our changes in this database: catalog rows have no locks of their own, and two sessions
-- that grant or replace at once end in "tuple concurrently updated". Another `up` may hold it for a change or two.
begin;
set local search_path = '';
set local datestyle = iso;
set local jit = off;
set local lock_timeout = '15s';
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bubble-sync', 0));
set local lock_timeout = '5s';
set local statement_timeout = '30s';
set local idle_in_transaction_session_timeout = '60s';

-- name: begin_reading
begin read only;
set local search_path = '';
set local datestyle = iso;
set local jit = off;
set local lock_timeout = '5s';
set local statement_timeout = '30s';
set local idle_in_transaction_session_timeout = '60s';

-- name: begin_operation
-- Not a change of the set-up: no lock of ours. The role's own search_path, which commands and triggers of others count on
-- as they do when pg_cron or the application runs them; and what they tell is heard, whatever the role is set to.
begin;
set local datestyle = iso;
set local client_min_messages = notice;
set local lock_timeout = '5s';
set local statement_timeout = '30s';
set local idle_in_transaction_session_timeout = '60s';
