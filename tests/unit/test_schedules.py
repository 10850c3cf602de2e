"""What a schedule means: when a job is overdue, how often it runs, and which pg_cron knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bubble_sync.converge import cron
from bubble_sync.converge.reading import Found
from bubble_sync.errors import PrerequisiteMissing
from bubble_sync.questions.signs import missed
from bubble_sync.schedules import interval_of, overdue_since, require_known, seconds_of
from tests.fixtures.specs import job_spec

NOW = datetime(2026, 11, 20, 3, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "since", "every"),
    [
        ("* * * * *", "03:06:00", 60),
        ("*/5 * * * *", "03:00:00", 300),
        ("5 seconds", "03:06:30", 5),
        ("30 seconds", "03:06:30", 30),
        ("59 seconds", "03:05:32", 59),
        ("1 Second", "03:06:30", 1),
    ],
)
def test_a_schedule_tells_since_when_a_job_must_have_run_and_how_often(schedule: str, since: str, every: float):
    assert f"{overdue_since(schedule, NOW):%H:%M:%S}" == since
    assert interval_of(schedule, NOW) == every


@pytest.mark.parametrize("schedule", ["0 0 $ * *", "60 seconds", "0 seconds", "at times"])
def test_of_a_schedule_that_cannot_be_read_nothing_is_said(schedule: str):
    assert (seconds_of(schedule), overdue_since(schedule, NOW), interval_of(schedule, NOW)) == (None, None, None)


def test_a_job_that_runs_by_seconds_is_missed_after_a_minute():
    assert missed("30 seconds", NOW - timedelta(seconds=59), NOW) is None
    assert missed("30 seconds", NOW - timedelta(seconds=61), NOW) == NOW - timedelta(seconds=60)


@pytest.mark.parametrize("version", ["1.4-1", "1.4", "1.3", "1.0", "0.9"])
def test_seconds_are_refused_where_pg_cron_does_not_know_them(version: str):
    require_known("tick", "* * * * *", version)

    with pytest.raises(PrerequisiteMissing, match=rf"^job tick: the schedule '30 seconds' needs .* has {version}:"):
        require_known("tick", "30 seconds", version)


@pytest.mark.parametrize("version", ["1.5", "1.5-1", "1.6", "1.6.4", "1.10", "2.0", ""])
def test_seconds_are_taken_where_pg_cron_knows_them_or_its_version_is_unknown(version: str):
    reader = {"role": "postgres", "own_alone": False, "keeper": "postgres", "pg_cron": version}

    cron.refuse(job_spec(schedule="30 seconds"), Found({"jobs": [], "reader": [reader], "recorded": []}))
