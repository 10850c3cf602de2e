-- Take items through the reference functions, as the owner of an Edge Function does.
select id::text as id, record_id::text as record_id, operation::text as operation, claim_token::text as claim_token
from public.sync_queue_claim(%(status)s, %(most)s);
