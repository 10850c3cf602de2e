-- title: Several requests without claims
-- needs: bubble_sync.dispatches net._http_response
-- only: several_requests
-- `processor.requestsPerTick` is above 1, and the newest good answer does not say `"claimed": true`. Two calls of an Edge
-- Function that claims nothing take the same items twice, so one request alone is unanswered at a time.
select
    'warning' as level,
    'requests of bubble_sync_processor' as object,
    pg_catalog.format('processor.requestsPerTick is %%s, and the answer to the request of %%s does not say "claimed": true, so '
        'one request is sent at a time', %(requests_per_tick)s::integer,
        pg_catalog.to_char(answer.sent_at, %(timestamp)s)) as evidence,
    'Make the Edge Function claim its items and say so (docs/guides/faster.md); else: '
    'pulumi config rm --path bubble-sync:processor.requestsPerTick, then pulumi up' as remedy
from (
    -- include: outcomes newest_good
) as answer
where not answer.claimed;
