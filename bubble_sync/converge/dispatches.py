"""The dispatch log: a table beside the ledger, made with it and kept like it; its rows are the functions' own."""

from __future__ import annotations

from collections.abc import Sequence

from bubble_sync.converge.reading import Found
from bubble_sync.errors import ForeignObject

PARTS = ("dispatches",)
TABLE = "dispatches"

_WANTED = (
    "column dispatch_id bigint not null identity",
    "column function text not null",
    "column runid bigint",
    "column waiting integer not null",
    "column request_id bigint not null",
    "column sent_at timestamp with time zone not null",
    "column skipped integer not null",
    "column settled_at timestamp with time zone",
    "column status_code integer",
    "column duration_ms integer",
    "column error text",
    "column processed integer",
    "column failed integer",
    "column verdict text",
    "index dispatches_pkey",
    "index dispatches_outstanding",
)


def state(found: Found) -> str | None:
    """Say the table's name, with what is not as we make it; None when it is not there. Columns of others may stay."""
    for row in found.rows("dispatches"):
        wrong = [*_foreign(row["kind"], row["owner"], row["mine"]), *_missing(row["parts"])]
        return f"{TABLE} (without {', '.join(wrong)})" if wrong else TABLE
    return None


def refuse(found: Found) -> None:
    """Raise ForeignObject for a table that cannot be completed: nothing that holds rows is dropped."""
    for row in found.rows("dispatches"):
        names = {part.split()[1] for part in row["parts"]}
        changed = [part for part in _missing(row["parts"]) if part.split()[1] in names]
        wrong = [*_foreign(row["kind"], row["owner"], row["mine"]), *changed]
        if wrong:
            raise ForeignObject(
                f"bubble_sync.{TABLE} is without {', '.join(wrong)}, which cannot be mended; nothing was changed. "
                f"Put it aside: alter table bubble_sync.{TABLE} rename to {TABLE}_before;"
            )


def _missing(parts: Sequence[str]) -> list[str]:
    return [part for part in _WANTED if part not in parts]


def _foreign(kind: str, owner: str, mine: bool) -> list[str]:
    return [] if kind == "r" and mine else [f"being a table of ours (owner {owner})"]
