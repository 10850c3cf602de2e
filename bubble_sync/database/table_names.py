"""Name the schema and the tables that we read or own."""

from __future__ import annotations

SCHEMA = "bubble_sync"

QUEUE_TABLE = "public.sync_queue"
USER_TABLE = "public.user"
PEOPLE_TABLES = (USER_TABLE, "public.account_host", "public.account_guest")
JOB_TABLE = "cron.job"
RUN_TABLE = "cron.job_run_details"
RESPONSE_TABLE = "net._http_response"
REQUEST_TABLE = "net.http_request_queue"
DISPATCH_TABLE = f"{SCHEMA}.dispatches"
LEDGER_TABLE = f"{SCHEMA}.ledger"
