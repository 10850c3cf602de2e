"""What a constraint or a trigger of the application says against one item, in our words: the item is left as it is."""

from __future__ import annotations

import re

from psycopg import errors

#: SQLSTATE classes of what is wrong with a row: its data, a constraint, a trigger's own error.
_OF_ROWS = ("22", "23", "27", "38", "39", "44", "P0")
#: Those of the connection, a read-only transaction, a race, resources, locks, an ending server: about no item.
_OF_THE_SERVER = ("08", "25", "40", "53", "55", "57", "58", "XX")
#: What the server says of where an error was raised; a statement after it may hold values, and is left out.
_RAISED_IN = re.compile(r"PL/pgSQL function ([\w.\"]+\([^)]*\)) line \d+")


def about_a_row(problem: errors.DatabaseError) -> bool:
    """Say whether another item may pass where this one was refused."""
    state = problem.sqlstate or ""
    # A trigger may do anything for some items only, and raise what it likes.
    raised = bool(_RAISED_IN.search(problem.diag.context or "")) and not state.startswith(_OF_THE_SERVER)
    return raised or state.startswith(_OF_ROWS)


def why_refused(problem: errors.DatabaseError) -> str:
    """Say what refused an item, and what to do; never with the server's words, which quote values."""
    diagnosis = problem.diag
    if isinstance(problem, errors.UniqueViolation | errors.ExclusionViolation):
        name = diagnosis.constraint_name or "a constraint"
        return f"conflict: {name} allows no second such item; retry it when the other one is done"
    raised = _RAISED_IN.search(diagnosis.context or "")
    if diagnosis.constraint_name:
        what = f"constraint {diagnosis.constraint_name}"
    elif diagnosis.column_name:
        what = f"column {diagnosis.column_name}, which must not be null,"
    elif raised:
        what = f"a trigger (function {raised[1]})"
    else:
        what = "a constraint or a trigger of the queue"
    return f"{what} refuses it (SQLSTATE {problem.sqlstate}); mend that or the item, then retry it"
