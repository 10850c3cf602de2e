"""The table at the end of a run of faults: one row for each kind of fault, its counts and its worst times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields

import pytest

_PROPERTY = "faults"


@dataclass
class Row:
    """What a test counted of one kind of fault; None where the column says nothing about the kind."""

    area: str
    faults: str
    points: int = 0
    converged: int | None = None
    #: The most commands that were needed until all was well.
    commands: int | None = None
    lost: int | None = None
    twice: int | None = None
    #: The longest wait, in seconds, by what waited.
    worst: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Return the row of the table."""
        cells = [getattr(self, one.name) for one in fields(self)[:-1]]
        worst = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in self.worst.items())
        return f"| {' | '.join('' if cell is None else str(cell) for cell in cells)} | {worst} |"


def merged(rows: Iterable[Row]) -> list[Row]:
    """Make one row of those of one kind of fault, which tests share."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        known = found.setdefault((row.area, row.faults), row)
        if known is row:
            continue
        known.points += row.points
        for name, combine in (("converged", sum), ("commands", max), ("lost", sum), ("twice", sum)):
            counted = [one for one in (getattr(known, name), getattr(row, name)) if one is not None]
            setattr(known, name, combine(counted) if counted else None)
        worst = {name: max(known.worst.get(name, 0), seconds) for name, seconds in row.worst.items()}
        known.worst |= worst
    return sorted(found.values(), key=lambda row: (row.area, row.faults))


HEAD = "| Area | Faults | Points | Converged | Commands | Lost | Twice | Worst |\n|---|---|---|---|---|---|---|---|"


@pytest.fixture
def tally(record_property: object) -> Iterator[list[Row]]:
    """Rows that the test adds; they reach the table from any process, also when the test fails."""
    rows: list[Row] = []
    yield rows
    assert callable(record_property)
    for row in rows:
        record_property(_PROPERTY, json.dumps(asdict(row)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # The fixture ends after the test's own report: the rows are in the report of the teardown, which has no category.
    reports = [one for kind in ("", "error") for one in terminalreporter.getreports(kind)]
    # A report of a file that cannot be imported has none.
    properties = [pair for one in reports for pair in getattr(one, "user_properties", ())]
    rows = [json.loads(text) for name, text in properties if name == _PROPERTY]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.write_line(HEAD)
        for row in merged(Row(**one) for one in rows):
            terminalreporter.write_line(row.line())
