"""The fleet's exit code: what could not be read first, then drift."""

from __future__ import annotations

import pytest

from bubble_sync.cli.drift import exit_code
from bubble_sync.compare.drift import DriftReport, StackStatus


@pytest.mark.parametrize(
    ("standings", "code"),
    [
        ((StackStatus.CLEAN, StackStatus.CLEAN), 0),
        ((StackStatus.CLEAN, StackStatus.DRIFT), 1),
        ((StackStatus.CLEAN, StackStatus.NEVER_UP), 1),
        ((StackStatus.CLEAN, StackStatus.CONFIGURATION), 2),
        ((StackStatus.DRIFT, StackStatus.CONFIGURATION), 1),
        ((StackStatus.DRIFT, StackStatus.CONFIGURATION, StackStatus.UNREACHABLE), 3),
    ],
)
def test_a_stray_file_hides_no_drift(standings: tuple[StackStatus, ...], code: int):
    assert exit_code([DriftReport("one", status) for status in standings]) == code
