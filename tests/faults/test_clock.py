"""The server's clock jumps: rows of another time change no exit code to a crash, and say no negative age."""

from __future__ import annotations

import re

import pytest

from tests.faults.conftest import Row
from tests.faults.states import ACTING, FEW, READING, Ground, assert_sound, converge
from tests.fixtures.history import PROCESSOR, dispatch, item, run
from tests.fixtures.site import Site

#: Every moment that the sync reads. pg_cron writes no run here, so that the rows of a test are all.
JUMP = (
    "update cron.job_run_details set start_time = start_time + {by}, end_time = end_time + {by}",
    "update public.sync_queue set created_at = created_at + {by}, processed_at = processed_at + {by}, "
    "next_retry_at = next_retry_at + {by}",
    "update bubble_sync.dispatches set sent_at = sent_at + {by}, settled_at = settled_at + {by}",
    "update bubble_sync.ledger set recorded_at = recorded_at + {by}",
    "set session_replication_role = replica",
    "update vault.secrets set created_at = created_at + {by}, updated_at = updated_at + {by}",
)
JUMPS = (
    "interval '90 seconds'",
    "interval '1 hour'",
    "interval '1 day'",
    "interval '400 days'",
    "-interval '400 days'",
)
NEGATIVE = re.compile(r"(?<![\w.:-])-\d+(\.\d+)? ?(s|ms|min|h|d|days?|hours?|minutes?|seconds?)\b")


def lived(ground: Ground) -> None:
    """Leave rows of every kind."""
    with ground.site() as site:
        rows_in(site)


def rows_in(site: Site) -> None:
    item(site, "3 minutes", processed="2 minutes", status="completed")
    item(site, "1 minute")
    item(site, "20 minutes", status="processing", record_id="r2")
    item(site, "20 minutes", status="failed", retry_count=1, due="5 minutes", record_id="r3")
    for runid, ago in enumerate(("4 minutes", "3 minutes", "2 minutes", "1 minute"), 1):
        run(site, runid, PROCESSOR, ago)
    dispatch(site, 1, "4 minutes")
    dispatch(site, 2, "1 minute", None)


def jump(ground: Ground, by: str, commands: tuple[tuple[str, ...], ...] = (*READING, *ACTING)) -> int:
    """Set every moment on or back, ask every command, and converge with one run; return the commands."""
    ground.by_hand(*(statement.format(by=by) for statement in JUMP))
    for command in commands:
        answer = ground.ask(*command)
        assert_sound(ground, answer)
        assert not NEGATIVE.search(answer.text), answer
    converge(ground)
    return len(commands)


def test_a_clock_that_went_back_a_day_changes_no_sense(shared: Ground, tally: list[Row]):
    shared.up()
    lived(shared)
    tally.append(Row("states", "clock, a sample", converged=0))

    tally[0].points = tally[0].converged = jump(shared, "interval '1 day'", FEW)


@pytest.mark.matrix
def test_a_clock_that_jumps_changes_no_sense(ground: Ground, tally: list[Row]):
    tally.append(Row("states", "jumps of the clock x commands, by rows of other times (no Pulumi CLI)", converged=0))
    lived(ground)
    for by in JUMPS:
        points = jump(ground, by)
        tally[0].points += points
        tally[0].converged = (tally[0].converged or 0) + points
    tally[0].commands = 1
