"""The fleet's exit code: what could not be read first, then drift."""

from __future__ import annotations

import pytest

from bubble_sync.cli.drift import exit_code
from bubble_sync.compare.drift import Report, Standing


@pytest.mark.parametrize(
    ("standings", "code"),
    [
        ((Standing.CLEAN, Standing.CLEAN), 0),
        ((Standing.CLEAN, Standing.DRIFT), 1),
        ((Standing.CLEAN, Standing.NEVER_UP), 1),
        ((Standing.CLEAN, Standing.CONFIGURATION), 2),
        ((Standing.DRIFT, Standing.CONFIGURATION), 1),
        ((Standing.DRIFT, Standing.CONFIGURATION, Standing.UNREACHABLE), 3),
    ],
)
def test_a_stray_file_hides_no_drift(standings: tuple[Standing, ...], code: int):
    assert exit_code([Report("one", standing) for standing in standings]) == code
