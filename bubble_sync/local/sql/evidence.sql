-- What is known of one item's way through: the item, its three bubble_ids, the newest run of our job that succeeded
-- between insertion and completion, the response that names the item, and when an insert sent the request. One row; null is
-- what has not happened.
select
    item.status,
    item.created_at,
    item.processed_at,
    person.bubble_id as user_bubble_id,
    host.bubble_id as host_bubble_id,
    guest.bubble_id as guest_bubble_id,
    run.runid::text as runid,
    run.start_time as run_at,
    response.id::text as request_id,
    response.status_code,
    dispatch.sent_at as woken_at
from public.sync_queue as item
join public."user" as person on person._id = item.record_id
left join public.account_host as host on host._id = person."Account - Host / Landlord"
left join public.account_guest as guest on guest._id = person."Account - Guest"
left join lateral (
    select r.runid, r.start_time
    from cron.job_run_details as r
    where r.jobid = %(jobid)s::bigint and r.status = 'succeeded'
        and r.start_time between item.created_at and coalesce(item.processed_at, now())
    order by r.runid desc
    limit 1
) as run on true
left join lateral (
    select r.id, r.status_code
    from net._http_response as r
    where r.status_code is not null
        and position(item.id::text in r.content) > 0
    limit 1
) as response on true
left join bubble_sync.dispatches as dispatch on dispatch.request_id = response.id and dispatch.runid is null
where item.id = %(item_id)s::uuid;
