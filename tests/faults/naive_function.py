"""An Edge Function without a claim: it reads the items that wait, and marks each one after the work."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

from bubble_sync.local.edge_function.server import serve_function
from bubble_sync.local.scripts import script

_READ = b"""
    select id::text as id, record_id, operation from public.sync_queue
    where status = %(status)s and (status = 'pending'
        or (retry_count < max_retries and (next_retry_at is null or next_retry_at <= now())))
    order by created_at, id
    limit %(most)s
"""


def _script(name: str) -> bytes:
    return _READ if name == "claim_items" else script(name)


if __name__ == "__main__":
    with patch("bubble_sync.local.edge_function.queue.script", _script):
        serve_function(Path(sys.argv[1]))
