"""The numbers for a monitoring system: what the database says, and that what is unknown is absent and said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from bubble_sync.cli.metrics import text_of
from bubble_sync.config.settings import read_settings
from bubble_sync.health.metrics import FAMILIES, Measured, measure
from bubble_sync.records.verdicts import VERDICTS
from tests.fixtures.breaking import working as working_settings
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, run, schedule
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK as SET_UP
from tests.fixtures.specs import config

Series = dict[tuple[str, ...], float]
STACK = 'pr"o\\d'
ASLEEP = '{"active": false, "pauseUntil": "2026-01-31T18:00:00Z"}'


def read(measured: Measured, stack: str = STACK) -> dict[str, Series]:
    """Read the text as OpenMetrics does; each metric's numbers by the values of its labels, but for the stack's."""
    found: dict[str, Series] = {}
    for metric in openmetrics(text_of(measured)):
        assert metric.type == "gauge"
        family = next(one for one in FAMILIES if one.name == metric.name)
        assert (metric.documentation, metric.unit) == (family.meaning, family.unit)
        for sample in metric.samples:
            assert set(sample.labels) == {"stack", *family.labels}
            assert sample.labels["stack"] == stack
            found.setdefault(metric.name.removeprefix("bubble_sync_"), {})[
                tuple(sample.labels[label] for label in family.labels)
            ] = sample.value
    return found


def ask(site: Site, **changes: str) -> dict[str, Series]:
    return read(measure(site.db, read_settings(config(**changes)), STACK, "1.2.3"))


@pytest.fixture
def working(prepared: Site) -> Site:
    schedule(prepared, PROCESSOR, RETRY)
    run(prepared, 1, RETRY, "40 s")
    run(prepared, 2, PROCESSOR, "30 s")
    return prepared


@pytest.fixture
def watcher(working: Site) -> Iterator[Site]:
    other = working.as_role("watcher")
    yield other
    other.db.close()


def test_a_sync_that_works(working: Site):
    item(working, "90 s")
    item(working, "1 min", status="processing", operation="INSERT")
    item(working, "10 min", status="failed", retry_count=3)
    item(working, "5 min", status="completed", processed="4 min")
    dispatch(working, 1, "2 hours", "rejected")
    for number in (2, 3):
        dispatch(working, number, "3 min", "ok")
    dispatch(working, 4, "1 min", None)
    dispatch(working, 5, "1 min", "not the function''s answer", function="bubble_sync_retry")
    found = ask(working)

    assert set(found) == {family.name.removeprefix("bubble_sync_") for family in FAMILIES}
    assert (found["info"], found["up"]) == ({("1.2.3",): 1}, {(): 1})
    assert found["problems"] == {(): 2}
    assert set(found["unknown"].values()) == {0}
    assert found["items"] == {
        ("pending", "SIGNUP_ATOMIC"): 1, ("processing", "INSERT"): 1, ("failed", "SIGNUP_ATOMIC"): 1,
        ("completed", "SIGNUP_ATOMIC"): 1,
    }  # fmt: skip
    assert {state for (state,), number in found["queue_items"].items() if number} == {"waiting", "in_flight", "dead"}
    assert found["oldest_waiting_age_seconds"][()] == pytest.approx(90, abs=5)
    assert found["items_last_hour"] == {("enqueued",): 4, ("completed",): 1}
    assert found["job_active"] == found["job_last_run_success"] == {(PROCESSOR,): 1, (RETRY,): 1}
    assert found["job_paused"] == found["job_pause_overdue"] == found["job_problem"] == {(PROCESSOR,): 0, (RETRY,): 0}
    now = found["asked_timestamp_seconds"][()]
    assert now == pytest.approx(datetime.now(UTC).timestamp(), abs=60)
    assert found["job_last_run_timestamp_seconds"][PROCESSOR,] == pytest.approx(now - 30, abs=10)
    requests = found["requests_last_hour"]
    assert len(requests) == 2 * len(VERDICTS)
    assert {key: number for key, number in requests.items() if number} == {
        ("bubble_sync_processor", "ok"): 2, ("bubble_sync_processor", "outstanding"): 1,
        ("bubble_sync_retry", "not the function's answer"): 1,
    }  # fmt: skip


def test_jobs_that_sleep_fail_or_are_gone(working: Site):
    working.by_hand(
        "update cron.job set active = false where jobid = 1", "set role postgres", f"select cron.unschedule('{RETRY}')"
    )
    run(working, 3, PROCESSOR, "5 s", "failed")
    found = ask(working, processor=ASLEEP)

    assert found["job_active"] == {(PROCESSOR,): 0, (RETRY,): 0}
    assert found["job_paused"] == found["job_pause_overdue"] == {(PROCESSOR,): 1, (RETRY,): 0}
    assert found["job_problem"] == {(PROCESSOR,): 1, (RETRY,): 1}
    assert found["job_last_run_success"] == {(PROCESSOR,): 0}


def test_what_the_doctor_finds_is_counted_by_level_and_check_without_what_follows(converged: Site):
    def ask_it() -> dict[str, Series]:
        return read(measure(converged.db, working_settings(), SET_UP, "1.2.3"), SET_UP)

    sound = ask_it()
    converged.by_hand("delete from cron.job")
    item(converged, "10 min")
    item(converged, "10 min", status="failed", retry_count=3)
    found = ask_it()

    assert ("findings" in sound, sound["checks_unknown"]) == (False, {(): 0})
    assert found["findings"] == {("error", "job_missing"): 2, ("error", "items_exhausted"): 1}
    assert found["checks_unknown"] == {(): 0}


def test_two_jobs_of_one_name_are_one_series(working: Site):
    working.by_hand(
        "insert into cron.job (schedule, command, nodename, nodeport, database, username, active, jobname) select "
        "schedule, command, nodename, nodeport, database, 'supabase_admin', false, jobname from cron.job"
    )

    assert set(ask(working)["job_active"]) == {(PROCESSOR,), (RETRY,)}


def test_what_a_role_may_not_see_is_absent_and_said(watcher: Site):
    found = ask(watcher)

    assert found["unknown"] == {("items",): 1, ("jobs",): 1, ("runs",): 1, ("requests",): 1, ("works",): 1}
    assert found["checks_unknown"][()] > 30
    assert set(found) == {
        "info", "up", "asked_timestamp_seconds", "problems", "unknown", "job_paused", "job_pause_overdue",
        "checks_unknown",
    }  # fmt: skip


def test_without_a_log_only_the_requests_are_absent(working: Site):
    working.by_hand("drop table bubble_sync.dispatches")
    found = ask(working)

    assert {what for (what,), number in found["unknown"].items() if number} == {"requests"}
    assert "requests_last_hour" not in found
    assert found["queue_items"][("waiting",)] == 0


def test_of_a_database_that_does_not_answer_that_alone_is_told():
    found = read(Measured(STACK, "1.2.3", datetime(2027, 1, 31, tzinfo=UTC)))

    assert found == {"info": {("1.2.3",): 1}, "up": {(): 0}, "asked_timestamp_seconds": {(): 1801353600}}


def test_a_collector_of_plain_text_reads_the_same(working: Site):
    text = text_of(measure(working.db, read_settings(config()), STACK, "1.2.3"))

    assert [sample for metric in plain(text) for sample in metric.samples] == [
        sample for metric in openmetrics(text) for sample in metric.samples
    ]
