-- title: Queue that grows
-- needs: public.sync_queue
-- follows: job_missing job_inactive job_silent runs_failing runs_not_started request_unauthorized
-- follows: request_forbidden request_not_found request_rejected endpoint_failing endpoint_unreachable
-- follows: request_unanswered request_nothing_processed request_timed_out requests_unclaimed net_backlog
-- follows: request_refused_by_body request_answered_by_other request_answered_with_nothing
-- follows: cron_scheduler_down extension_missing function_differs function_missing function_other_owner
-- follows: function_overloaded job_differs job_owner_dropped net_worker_down privilege_missing queue_hidden
-- follows: queue_incomplete queue_unindexed secret_differs secret_empty secret_expiring secret_malformed
-- follows: secret_missing secret_unreadable secret_wrong_project server_read_only
-- Over the last hour more items came in than were completed, more wait than one call takes, and the oldest is late: the sync
-- as configured does not keep up. Known functions use only batch_size of the two sizes in the request. Nothing is reported
-- while the processor is paused, or while no request since the oldest item has processed anything: sizes do not mend that.
-- Without a readable log of requests, the items alone decide.
with figures as (
    select sum(came) as came, sum(went) as went, coalesce(sum(count) filter (where status = 'pending'), 0) as waiting,
        min(oldest_item) filter (where status = 'pending') as oldest
    from pg_catalog.jsonb_to_recordset(%(items)s::jsonb)
        as item (status text, drained boolean, count bigint, came bigint, went bigint, oldest_item timestamptz)
    where drained
)
select
    'warning' as level,
    'queue public.sync_queue' as object,
    pg_catalog.format('in the last hour %%s came and %%s went; %%s wait, and a call takes %%s', came, went, waiting,
        %(batch_size)s::integer) as evidence,
    pg_catalog.format(
        'pulumi config set --path bubble-sync:processor.batchSize %%s; '
        'pulumi config set --path bubble-sync:processor.maxItems %%s',
        least(10000, 4 * %(batch_size)s::integer),
        least(10000, greatest(4 * %(batch_size)s::integer, %(max_items)s::integer)))
    || case
        when exists (
            select from pg_catalog.pg_available_extensions
            where name = 'pg_cron' and pg_catalog.string_to_array(
                pg_catalog.substring(default_version, '^\d+\.\d+'), '.'
            )::integer[] >= array[1, 5]
        ) and exists (
            select from pg_catalog.jsonb_to_recordset(%(times)s::jsonb) as w (name text, every numeric)
            where name = 'bubble-sync-processor' and every >= 60
        ) then ', or bubble-sync:processor.schedule ''30 seconds'''
        else ''
    end || '; then pulumi up.' as remedy
from figures
where came > went and waiting > %(batch_size)s::integer
    and oldest < pg_catalog.now() - pg_catalog.make_interval(secs => %(limit_seconds)s)
    and exists (
        select from pg_catalog.jsonb_to_recordset(%(jobs)s::jsonb) as job (name text, active boolean)
        where name = 'bubble-sync-processor' and active
    )
    and (
        %(requests)s::jsonb = 'null' or exists (
            select from pg_catalog.jsonb_to_recordset(nullif(%(requests)s::jsonb, 'null'))
                as request (function text, sent_at timestamptz, verdict text, processed bigint)
            where function = 'bubble_sync_processor' and sent_at >= oldest
                and verdict in ('ok', 'partial') and coalesce(processed, 1) > 0
        )
    );
