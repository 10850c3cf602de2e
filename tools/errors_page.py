"""Print the page of errors, `docs/reference/errors.md`, from the tables of `bubble_sync/database/errors.py`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator

from bubble_sync.cli.exit_codes import failure_of
from bubble_sync.database.errors import (
    CONNECT_CAUSES,
    IN_PROJECTS,
    SESSION_CAUSES,
    UNKNOWN_CONNECT_CAUSE,
    UNKNOWN_SESSION_CAUSE,
    ConnectCause,
    SessionCause,
)
from bubble_sync.errors import Unreachable

HEAD = """\
# Errors of the database

What each error of PostgreSQL, libpq or a pooler means, and what to do. A command prints one line with cause and remedy,
and never the server's own text, which can hold values; the server's log has the text. Every command can be run again: a
change is done whole or not at all, and `pulumi up` continues from the database as it is.

Exit codes: 1 no or refused, 3 unreachable. `pulumi` shows the same line and ends with its own code; `bubble-sync drift`
ends with 3 for every stack that it cannot read.

This page is printed by `python -m tools.errors_page` from `bubble_sync/database/errors.py`, and
`tests/faults/test_errors.py` provokes each row.
"""
_CONNECTING = """
## While connecting

The line is `cannot connect to the database at <host, port, database, user>: <cause>.` A text may stand anywhere in the
error, in capitals or not; the first one that fits counts. *Soon*: the next connection is tried. *When free*: five
attempts, one second apart. *Never*: one attempt for the whole command, since a ban follows repeated failures.
"""
_PROJECTS = """
At the direct host of a hosted project (`db.<ref>.supabase.co`) two causes mean something else:
"""
_SESSION = """
## In a session

The line is `<action and object>: <cause>. <remedy>`. Two characters stand for a whole class of SQLSTATEs. A change that
lost a race (40001, 40P01, 23505, 42710, 42723, 42P06, 42P07) is done again up to ten times before the error is shown.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join((HEAD + _CONNECTING, *_connecting(), _PROJECTS, *_in_projects(), _SESSION, *_in_session(), ""))


def _connecting() -> Iterator[str]:
    yield "| Text | Cause and remedy | Next attempt | Exit |"
    yield "|---|---|---|---|"
    exit_code = failure_of(Unreachable("")).exit_code
    signs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in (*CONNECT_CAUSES, ConnectCause("", UNKNOWN_CONNECT_CAUSE, "soon")):
        signs[one.cause, one.retry].append(f"`{one.sign}`" if one.sign else "any other")
    for (cause, retry), listed in signs.items():
        yield _row(", ".join(listed), cause, retry, exit_code)


def _in_projects() -> Iterator[str]:
    yield "| Elsewhere | There |"
    yield "|---|---|"
    for elsewhere, there in IN_PROJECTS.items():
        yield _row(elsewhere, there)


def _in_session() -> Iterator[str]:
    yield "| SQLSTATE | Cause | Remedy | Exit |"
    yield "|---|---|---|---|"
    for one in (*SESSION_CAUSES, UNKNOWN_SESSION_CAUSE):
        yield _row(_states(one), _shown(one.cause), one.remedy, failure_of(one.error("")).exit_code)


def _states(one: SessionCause) -> str:
    listed = ", ".join(f"`{state}`" for state in one.states) or "any other"
    return f"{listed} with `{one.sign}`" if one.sign else listed


def _shown(cause: str) -> str:
    return cause.format(state="...", message="the server's line, which names the object")


def _row(*cells: object) -> str:
    escaped = (str(cell).replace("|", "\\|").replace("<", "\\<") for cell in cells)
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
