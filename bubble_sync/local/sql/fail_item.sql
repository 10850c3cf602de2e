update public.sync_queue
set status = 'failed',
    error_message = %(message)s,
    retry_count = retry_count + 1,
    next_retry_at = now() + make_interval(secs => %(retry_after_seconds)s)
where id = %(id)s;
