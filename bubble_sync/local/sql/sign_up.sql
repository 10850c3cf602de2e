-- A sign-up as the application does it: three records and one pending item, in one statement.
with host as (
    insert into public.account_host (_id) values (gen_random_uuid()::text) returning _id
), guest as (
    insert into public.account_guest (_id) values (gen_random_uuid()::text) returning _id
), person as (
    insert into public."user" (_id, email, "Account - Host / Landlord", "Account - Guest")
    select gen_random_uuid()::text, %(email)s, host._id, guest._id from host, guest
    returning _id, "Account - Host / Landlord" as host_id, "Account - Guest" as guest_id
), item as (
    insert into public.sync_queue (table_name, record_id, operation, payload)
    select
        'user',
        person._id,
        'SIGNUP_ATOMIC',
        jsonb_build_object(
            'user_id', person._id, 'host_account_id', person.host_id, 'guest_account_id', person.guest_id
        )
    from person
    returning id
)
select person._id as user_id, person.host_id, person.guest_id, item.id::text as item_id
from person, item;
