"""What became of the probes, counted for the line at the end."""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

import pytest

OUTCOMES = pytest.StashKey[Counter[str]]()


def skip_for(request: pytest.FixtureRequest, what: str) -> NoReturn:
    """Skip a probe for something that is not here, and count it under that."""
    request.config.stash[OUTCOMES][f"skipped ({what})"] += 1
    pytest.skip(f"needs a {what}")
