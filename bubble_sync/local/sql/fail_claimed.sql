-- No row when the claim is void.
select where public.sync_queue_fail(%(id)s, %(token)s, %(message)s, least(%(retry_after_seconds)s, 3600)::integer);
