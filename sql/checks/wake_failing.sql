-- title: Inserts whose request could not be sent
-- With `processor.wake`, an error in the trigger never fails an insert: the trigger counts the error, and the job takes the
-- items. The server's log has each with its SQLSTATE. The count stays until it is set back.
select
    'warning' as level,
    'trigger bubble_sync_wake' as object,
    pg_catalog.format('%%s inserts sent no request because of an error', counted.errors) as evidence,
    'Look for bubble_sync_wake in the server''s log, and set the count back: '
        || 'select setval(''bubble_sync.wake_errors'', 1, false);' as remedy
from pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass('bubble_sync.wake_errors')) as counted (errors)
where counted.errors is not null;
