"""Print the page of the doctor's checks, `docs/reference/checks.md`, from the files of `sql/checks/`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bubble_sync.sql_loader import Check, checks

HEAD = """\
# Checks

What `bubble-sync doctor` looks for. Each check is a query in `sql/checks/`, named by its id; it reads, and changes
nothing. A check whose tables the connecting role may not read is *unknown*, never fine; `:all` behind a table means
that other roles' rows are looked at too, `:own` that it must be asked as the role whose the table is. A finding that
follows from another one is shown after it, without a remedy of its own: mend the cause first.

This page is printed by `python -m tools.checks_page` from the comments of the files.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join((HEAD, *(line for check in checks() for line in _lines(check))))


def _lines(check: Check) -> Iterator[str]:
    yield f"## `{check.id}`"
    yield ""
    yield f"**{check.title}.** {check.meaning}"
    yield ""
    if check.only:
        yield f"Asked only where `{check.only}` is configured."
        yield ""
    for word, names in (("Needs", check.needs), ("Follows from", check.follows)):
        if names:
            yield f"{word}: {', '.join(f'`{name}`' for name in names)}."
            yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
