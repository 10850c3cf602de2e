"""In which order findings are told: what stops every item comes before what stops some."""

from __future__ import annotations

from bubble_sync.sql_loader import checks

_STAGES = (
    "server", "privilege", "extension", "ledger", "cron", "job", "runid", "function", "queue", "secret", "runs", "run",
    "net", "endpoint", "request", "response",
)  # fmt: skip
"""The first words of checks, in the order in which an item's way needs them."""


def stage_of(check: str) -> int:
    """Return how early on an item's way something stops: what stops everything comes first, one item last."""
    stops = check in next(one.follows for one in checks() if one.id == "items_waiting")
    word = check.split("_")[0]
    stage = _STAGES.index(word) if word in _STAGES else len(_STAGES)
    return stage if stops else len(_STAGES) + 1 + stage
