-- No row when the claim is void.
select where public.sync_queue_complete(%(id)s, %(token)s);
