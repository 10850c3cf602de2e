-- How many items stand at each status that the Edge Function knows.
select
    count(*) filter (where status = 'pending') as pending,
    count(*) filter (where status = 'processing') as processing,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'failed') as failed
from public.sync_queue;
