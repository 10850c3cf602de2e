"""Poll for what the database does not announce: pg_cron and pg_net send no notification."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

WAIT_BEYOND_TIMEOUT_SECONDS = 10
"""Extra time for a response: pg_net answers a batch as a whole, so one request may wait for another's."""
_EVERY_SECONDS = 0.5


def poll(look: Callable[[], _T], done: Callable[[_T], bool], seconds: float) -> _T:
    """Call `look` until its result is `done` or the time has passed; return the last result."""
    until = time.monotonic() + seconds
    while not done(seen := look()) and time.monotonic() < until:
        time.sleep(_EVERY_SECONDS)
    return seen
