-- title: Trigger on a table of pg_net
-- needs: net.http_request_queue net._http_response
-- pg_net lets every role create a trigger on its tables. The trigger runs with the rights of the role that writes: of the
-- jobs' role for a request, of pg_net's for a response. With `processor.wake` an insert sends no request while there is one.
select
    'error' as level,
    'extension pg_net' as object,
    pg_catalog.format('trigger %%I on %%s runs %%s, a function of %%I, with the rights of each role that writes there',
        t.tgname, t.tgrelid::regclass, f.oid::regprocedure, pg_catalog.pg_get_userbyid(f.proowner)) as evidence,
    pg_catalog.format('Unless it is yours, as %%I: drop function %%s cascade; and look what it did.',
        pg_catalog.pg_get_userbyid(f.proowner), f.oid::regprocedure) as remedy
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as f on f.oid = t.tgfoid
where not t.tgisinternal and t.tgrelid in (
    'net.http_request_queue'::pg_catalog.regclass, 'net._http_response'::pg_catalog.regclass
);
