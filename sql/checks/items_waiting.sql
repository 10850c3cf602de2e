-- title: Items that wait for too long
-- needs: public.sync_queue
-- follows: job_missing job_inactive job_paused job_silent runid_behind runs_failing runs_not_started
-- follows: run_longer_than_interval request_unauthorized request_forbidden request_not_found
-- follows: request_rejected endpoint_failing endpoint_unreachable request_timed_out request_lost
-- follows: request_unanswered request_nothing_processed net_backlog queue_growing response_not_good
-- follows: request_refused_by_body request_answered_by_other request_answered_with_nothing
-- follows: cron_scheduler_down extension_missing function_differs function_missing function_other_owner
-- follows: function_overloaded job_differs job_owner_dropped net_worker_down privilege_missing queue_hidden
-- follows: queue_incomplete queue_unindexed secret_differs secret_empty secret_expiring secret_malformed
-- follows: secret_missing secret_unreadable secret_wrong_project server_read_only
-- The guide's target is one to two minutes. An item is late after 120 seconds, mostly as a symptom of another finding. A
-- pause of the processor in the configuration is reported too.
with waiting as (
    select sum(count) as items, min(oldest_item) as oldest
    from pg_catalog.jsonb_to_recordset(%(items)s::jsonb)
        as item (status text, drained boolean, count bigint, oldest_item timestamptz)
    where status = 'pending' and drained
), processor as (
    select active
    from pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as job (name text, active boolean)
    where name = 'bubble-sync-processor'
)
select
    case when processor.active then 'error' else 'info' end as level,
    'items of public.sync_queue' as object,
    pg_catalog.format('%%s wait, the oldest since %%s%%s', waiting.items,
        pg_catalog.to_char(waiting.oldest, %(timestamp)s),
        case when processor.active then '' else '; the configuration has the processor switched off' end) as evidence,
    case
        when processor.active then 'bubble-sync trace --latest shows where one stopped; then bubble-sync run-now --wait'
        else 'When it may run again: bubble-sync resume --job processor'
    end as remedy
from waiting
cross join processor
where waiting.oldest < pg_catalog.now() - pg_catalog.make_interval(secs => %(limit_seconds)s);
