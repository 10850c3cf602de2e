"""The tables beside the ledger, made with it; their rows are the functions' own.

What the log of requests remembers stays when it is wanted no more. What the alerts have told goes with them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import LiteralString

from bubble_sync.converge.reading import Found, Row
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import ALERTS, DISPATCHES
from bubble_sync.statements import query

PARTS = ("tables",)

_VERDICTS = (
    "ok", "answered", "partial", "refused by its body", "not the function''s answer", "rejected", "timed out", "lost",
)  # fmt: skip
_TOLD = "timestamp with time zone not null"
_WANTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        DISPATCHES: (
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
            "check dispatches_verdict_check CHECK ((verdict = ANY (ARRAY["
            + ", ".join(f"'{word}'::text" for word in _VERDICTS)
            + "])))",
            "index dispatches_pkey",
            "index dispatches_outstanding",
            "index dispatches_sent_at",
        ),
        ALERTS: (
            "column only_row boolean not null",
            "column failed bigint",
            "column failed_items bigint not null",
            "column newly_failed bigint not null",
            "column depths bigint[] not null",
            "column last_rejected bigint not null",
            *(f"column {one}_told {_TOLD}" for one in ("failures", "growing", "oldest", "rejected", "daily", "weekly")),
            "index alerts_pkey",
        ),
    }
)


def state(wanted: Collection[str], found: Found) -> tuple[str, ...]:
    """Name the tables that are there, each with what is not as we make it; columns of others may stay.

    Of those that are not wanted it names the one that would be dropped, if it is of our making.
    """
    rows = {row["name"]: row for row in found.rows("tables")}
    return tuple(
        _told(rows[name])
        for name in _WANTED
        if name in rows and (name in wanted or (name == ALERTS and not _wrong(rows[name])))
    )


def refuse(wanted: Collection[str], found: Found) -> None:
    """Raise ForeignObject for a table that cannot be completed: nothing that holds rows is dropped for that."""
    for row in found.rows("tables"):
        name, names = row["name"], {part.split()[1] for part in row["parts"]}
        # A check is made anew; a column or an index of that name is in the way.
        changed = [part for part in _missing(row) if part.split()[1] in names and not part.startswith("check")]
        wrong = [*_foreign(row), *changed]
        if name in wanted and wrong:
            raise ForeignObject(
                f"bubble_sync.{name} is without {', '.join(wrong)}, which cannot be mended; nothing was changed. "
                f"Put it aside: alter table bubble_sync.{name} rename to {name}_before;"
            )


def statements(wanted: Collection[str], there: Collection[str]) -> list[LiteralString]:
    """Return what makes the wanted tables, leaves alone what is there, and drops what is wanted no more."""
    dropped = [query("dropped", "alerts")] if ALERTS in there and ALERTS not in wanted else []
    made = {DISPATCHES: query("tables", "dispatches"), ALERTS: query("tables", "alerts")}
    return [*(made[name] for name in wanted), *dropped]


def _told(row: Row) -> str:
    wrong = _wrong(row)
    return f"{row['name']} (without {', '.join(wrong)})" if wrong else str(row["name"])


def _wrong(row: Row) -> list[str]:
    return [*_foreign(row), *_missing(row)]


def _missing(row: Row) -> list[str]:
    return [part for part in _WANTED[row["name"]] if part not in row["parts"]]


def _foreign(row: Row) -> list[str]:
    return [] if row["kind"] == "r" and row["mine"] else [f"being a table of ours (owner {row['owner']})"]
