"""What a schedule means: when a job is overdue, how often it runs, and which pg_cron knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bubble_sync.config.schedules import interval_of, overdue_since, require_known, seconds_of
from bubble_sync.converge import cron_jobs
from bubble_sync.database.snapshot import Snapshot
from bubble_sync.errors import PrerequisiteMissing
from bubble_sync.records.due_runs import Due, due
from tests.fixtures.specs import job_spec

NOW = datetime(2026, 11, 20, 3, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "since", "every"),
    [
        ("* * * * *", "03:06:00", 60),
        ("*/5 * * * *", "03:00:00", 300),
        ("5 seconds", "03:07:00", 5),
        ("20 seconds", "03:06:50", 20),
        ("30 seconds", "03:06:30", 30),
        ("59 seconds", "03:05:32", 59),
        ("1 Second", "03:07:00", 1),
    ],
)
def test_a_schedule_tells_since_when_a_job_must_have_run_and_how_often(schedule: str, since: str, every: float):
    assert f"{overdue_since(schedule, NOW):%H:%M:%S}" == since
    assert interval_of(schedule, NOW) == every


@pytest.mark.parametrize("schedule", ["0 0 $ * *", "60 seconds", "0 seconds", "at times"])
def test_of_a_schedule_that_cannot_be_read_nothing_is_said(schedule: str):
    assert (seconds_of(schedule), overdue_since(schedule, NOW), interval_of(schedule, NOW)) == (None, None, None)


@pytest.mark.parametrize(("schedule", "after"), [("1 second", 30), ("5 seconds", 30), ("30 seconds", 60)])
def test_a_job_that_runs_by_seconds_is_missed_after_two_intervals_and_half_a_minute_at_least(schedule: str, after: int):
    long_ago = NOW - timedelta(days=1)

    assert due(schedule, NOW - timedelta(seconds=after), long_ago, NOW) == Due()
    missed = NOW - timedelta(seconds=after)
    assert due(schedule, NOW - timedelta(seconds=after + 1), long_ago, NOW) == Due(missed=missed)


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-20T{clock}+00:00")


@pytest.mark.parametrize(
    ("schedule", "began", "counted_from", "said"),
    [
        ("*/5 * * * *", "02:30:00", "02:00:00", "was due at 2026-11-20 03:00:00 UTC, and no run since is on record"),
        ("*/5 * * * *", "02:30:00", "03:00:01", ""),
        ("*/5 * * * *", "02:30:00", "03:07:00", "is first due at 2026-11-20 03:10:00 UTC"),
        ("*/5 * * * *", None, "03:07:00", "is first due at 2026-11-20 03:10:00 UTC"),
        ("*/5 * * * *", None, "02:59:00", "was due at 2026-11-20 03:00:00 UTC, and no run since is on record"),
        ("* * * * *", None, "03:06:20", "is first due at 2026-11-20 03:07:00 UTC"),
        ("* * * * *", None, "03:05:20", "was due at 2026-11-20 03:06:00 UTC, and no run since is on record"),
        ("30 seconds", None, "03:06:40", "is first due at 2026-11-20 03:07:10 UTC"),
        ("30 seconds", "03:00:00", "03:07:20", "is first due at 2026-11-20 03:07:50 UTC"),
        ("30 seconds", "03:00:00", "03:06:00", "was due at 2026-11-20 03:06:30 UTC, and no run since is on record"),
        ("at times", None, "03:00:00", ""),
    ],
)
def test_a_due_time_counts_only_where_its_run_would_be_on_record(
    schedule: str, began: str | None, counted_from: str, said: str
):
    assert str(due(schedule, at(began) if began else None, at(counted_from), NOW)) == said


def test_an_absent_run_that_says_nothing_is_unknown_and_one_that_is_there_is_fine():
    assert due("* * * * *", None, at("02:00:00"), NOW, "no history") == Due(unknown="no history")
    assert due("* * * * *", at("03:07:00"), at("02:00:00"), NOW, "no history") == Due()
    assert due("*/5 * * * *", None, at("03:03:00"), NOW).unknown == "no finished run of it is on record"


@pytest.mark.parametrize("schedule", ["* * * * *", "5 seconds", "59 seconds", "0 4 * * *"])
def test_before_its_first_due_time_a_job_needs_no_history(schedule: str):
    first = due(schedule, None, NOW, NOW, "no history")

    assert first == due(schedule, None, NOW, NOW)
    assert first.first
    assert first.first > NOW
    assert due(schedule, None, NOW - timedelta(days=3), NOW, "no history") == Due(unknown="no history")


@pytest.mark.parametrize("version", ["1.4-1", "1.4", "1.3", "1.0", "0.9"])
def test_seconds_are_refused_where_pg_cron_does_not_know_them(version: str):
    require_known("tick", "* * * * *", version)

    with pytest.raises(PrerequisiteMissing, match=rf"^job tick: the schedule '30 seconds' needs .* has {version}:"):
        require_known("tick", "30 seconds", version)


@pytest.mark.parametrize("version", ["1.5", "1.5-1", "1.6", "1.6.4", "1.10", "2.0", ""])
def test_seconds_are_taken_where_pg_cron_knows_them_or_its_version_is_unknown(version: str):
    reader = {"role": "postgres", "own_alone": False, "keeper": "postgres", "pg_cron": version}

    cron_jobs.preflight(job_spec(schedule="30 seconds"), Snapshot({"jobs": [], "reader": [reader], "recorded": []}))
