-- What Bubble would answer: an id for each of the three records of one sign-up. An id that is there stays.
with person as (
    update public."user"
    set bubble_id = coalesce(bubble_id, %(user_bubble_id)s)
    where _id = %(record_id)s
    returning "Account - Host / Landlord" as host_id, "Account - Guest" as guest_id
), host as (
    update public.account_host
    set bubble_id = coalesce(bubble_id, %(host_bubble_id)s)
    where _id = (select host_id from person)
    returning 1
), guest as (
    update public.account_guest
    set bubble_id = coalesce(bubble_id, %(guest_bubble_id)s)
    where _id = (select guest_id from person)
    returning 1
)
select (select count(*) from person) + (select count(*) from host) + (select count(*) from guest) as records;
