-- title: Answer of pg_net that is no success
-- needs: net._http_response
-- Runs without the dispatch log (`dispatchLog: false`): pg_net keeps responses for some hours without their sender, so the
-- response may belong to another application. With the log, the checks of requests are more precise.
with newest as (
    select * from (
        -- include: outcomes at_a_glance
    ) as response
    order by created desc, id desc
    limit 20
)
select
    'warning' as level,
    'table net._http_response' as object,
    pg_catalog.format(
        '%%s of the newest %%s answers, whosever requests they answer, are no success; last %%s at %%s',
        count(*), (select count(*) from newest),
        (pg_catalog.array_agg(
            coalesce('HTTP ' || status_code || case when status_code between 200 and 299
                then ' with a web page or a no in it' else '' end, error_msg, 'a timeout')
            order by created desc, id desc
        ))[1],
        pg_catalog.to_char(max(created), %(timestamp)s)) as evidence,
    'Ask the endpoint: bubble-sync key probe. With bubble-sync:dispatchLog true each request of ours is followed.'
        as remedy
from newest
where not %(dispatch_log)s::boolean and not good
having count(*) > 0;
