update public.sync_queue
set status = 'completed', processed_at = now(), error_message = null, next_retry_at = null
where id = %(id)s;
