-- title: Worker of pg_net that does not run
-- needs: net._http_response pg_catalog.pg_stat_activity
-- One process of the server sends what the functions hand to pg_net. Without it requests pile up in net.http_request_queue,
-- and the runs that made them stay green.
select
    'error' as level,
    'extension pg_net' as object,
    'net.check_worker_is_up() says that its background worker is not up: no request is sent' as evidence,
    'select net.worker_restart(); and where that does not bring it back: Settings -> General -> Restart project -> '
    || 'Fast database reboot.' as remedy
where %(worker_down)s::boolean and not pg_catalog.pg_is_in_recovery();
