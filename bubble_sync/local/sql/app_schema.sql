-- The application that signs people up, as far as the sync touches it. Created as the role postgres.
create table public.account_host (
    _id text primary key,
    bubble_id text
);

create table public.account_guest (
    _id text primary key,
    bubble_id text
);

create table public."user" (
    _id text primary key,
    email text not null unique,
    bubble_id text,
    "Account - Host / Landlord" text references public.account_host (_id),
    "Account - Guest" text references public.account_guest (_id)
);

create table public.sync_queue (
    id uuid primary key default gen_random_uuid(),
    table_name text not null,
    record_id text not null,
    operation text not null check (operation in ('INSERT', 'UPDATE', 'DELETE', 'SIGNUP_ATOMIC')),
    payload jsonb not null default '{}'::jsonb,
    status text not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed', 'skipped')),
    error_message text,
    error_details jsonb,
    retry_count integer not null default 0,
    max_retries integer not null default 3,
    created_at timestamptz not null default now(),
    processed_at timestamptz,
    next_retry_at timestamptz,
    bubble_response jsonb,
    idempotency_key text unique
);

-- Row security without a policy: only roles that bypass it see the queue.
alter table public.sync_queue enable row level security;

create index sync_queue_open on public.sync_queue (status, created_at) where status in ('pending', 'failed');
create index sync_queue_retry on public.sync_queue (next_retry_at) where status = 'failed' and retry_count < 3;
create unique index sync_queue_one_pending on public.sync_queue (table_name, record_id) where status = 'pending';
