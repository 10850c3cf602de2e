select public.sync_queue_requeue_stalled();
