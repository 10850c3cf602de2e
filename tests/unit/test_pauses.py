"""Which jobs sleep on purpose, what the command line takes for a moment, and what is written into the configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bubble_sync.actions.pause import keys_of, read_pause_end
from bubble_sync.config.settings import NameSettings, read_settings
from bubble_sync.errors import ConfigurationError
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.model.pauses import pause_warnings, paused
from tests.fixtures.history import PROCESSOR, RETRY
from tests.fixtures.specs import config

NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)
ASLEEP = '{"active": false, "pauseReason": "the CRM moves", "pauseUntil": "2027-01-31T18:00:00Z"}'


def test_the_jobs_are_named_as_the_database_has_them():
    assert {job.key: job.name for job in MANAGED_JOBS}.items() >= {"processor": PROCESSOR, "retry": RETRY}.items()


def test_a_job_that_the_configuration_does_not_put_to_sleep_has_no_pause():
    assert paused(read_settings(config()), NOW) == {}


def test_a_pause_says_why_and_until_when():
    found = paused(read_settings(config(processor=ASLEEP, retry='{"active": false}')), NOW)

    assert [(name, str(pause)) for name, pause in found.items()] == [
        (PROCESSOR, "paused until 2027-01-31 18:00:00 UTC (the CRM moves)"),
        (RETRY, "paused (no reason given)"),
    ]
    assert pause_warnings(read_settings(config(processor=ASLEEP)), NOW) == ()


def test_a_pause_that_should_be_over_names_the_way_out():
    settings = read_settings(config(processor=ASLEEP, retry='{"active": false, "pauseReason": "until told"}'))

    assert pause_warnings(settings, NOW + timedelta(hours=6)) == (
        f"job {PROCESSOR} is paused until 2027-01-31 18:00:00 UTC (the CRM moves); that is past: "
        "`bubble-sync resume --job processor`",
    )


@pytest.mark.parametrize(
    ("text", "after"),
    [("2h", 120), ("90m", 90), ("90min", 90), ("1d12h", 36 * 60), ("1d1h1m", 1501), ("2027-01-31T15:00:00+02:00", 60)],
)
def test_a_moment_is_given_as_it_is_or_by_how_far_off_it_is(text: str, after: int):
    assert read_pause_end(text, NOW.replace(microsecond=7)) == NOW + timedelta(minutes=after)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tomorrow", "nor a duration, as in 90s, 30m, 2h, 7d or 1d12h"),
        ("", "is not a time with a zone"),
        ("2h30", "is not a time with a zone"),
        ("99999999d", "is not a time with a zone"),
        ("2027-01-31T18:00:00", "is not a time with a zone"),
        ("2027-01-31T12:00:00Z", "is past: nothing was changed"),
        ("0h", "is not a time with a zone"),
    ],
)
def test_a_moment_that_is_none_or_past_is_refused(text: str, said: str):
    with pytest.raises(ConfigurationError, match=said):
        read_pause_end(text, NOW)


def test_a_job_is_meant_by_either_name_and_all_by_none():
    assert keys_of(None, NameSettings()) == tuple(job.key for job in MANAGED_JOBS)
    assert keys_of("retry", NameSettings()) == keys_of(RETRY, NameSettings()) == ("retry",)
    with pytest.raises(ConfigurationError, match="there is no job 'sync': --job is one of processor, retry"):
        keys_of("sync", NameSettings())
