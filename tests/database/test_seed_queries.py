"""Each SELECT that people used to paste is a named query: the same columns first, and rows worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bubble_sync.database.database import Row
from bubble_sync.sql_loader import query
from tests.fixtures.history import PROCESSOR, RETRY, item, person, run, schedule
from tests.fixtures.site import Site


def ask(site: Site, subject: str, name: str, **given: object) -> list[Row]:
    return site.db.read("asking", lambda conn: conn.execute(query(subject, name), given).fetchall())


def columns(rows: list[Row], count: int) -> list[str]:
    return list(rows[0])[:count]


def values(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@pytest.fixture
def queue(prepared: Site) -> Site:
    """Two pending sign-ups and an update; a completed and two failed inserts, one of them two days old."""
    item(prepared, "3 min", record_id="a")
    item(prepared, "1 min", record_id="b")
    item(prepared, "2 min", record_id="c", operation="UPDATE")
    item(prepared, "3 hours", record_id="d", operation="INSERT", status="completed", processed_at="2026-01-01")
    item(prepared, "1 hour", record_id="e", operation="INSERT", status="failed", error_message="no", retry_count=1)
    item(prepared, "2 days", record_id="f", operation="INSERT", status="failed", error_message="nor", retry_count=3)
    return prepared


def test_the_queue_by_status_and_operation(queue: Site):
    rows = ask(queue, "items", "by_status")

    assert columns(rows, 4) == ["status", "operation", "count", "oldest_item"]
    assert values(rows, "status", "operation", "count") == [
        ("completed", "INSERT", 1), ("failed", "INSERT", 2), ("pending", "SIGNUP_ATOMIC", 2), ("pending", "UPDATE", 1),
    ]  # fmt: skip
    (oldest,) = queue.by_hand("select created_at as at from public.sync_queue where record_id = 'a'")
    assert rows[2]["oldest_item"] == oldest["at"]


def test_a_days_items_by_status(queue: Site):
    rows = ask(queue, "items", "summary")

    assert list(rows[0]) == ["status", "count", "oldest", "newest"]
    assert values(rows, "status", "count") == [("completed", 1), ("failed", 1), ("pending", 3)]
    assert rows[2]["newest"] - rows[2]["oldest"] == pytest.approx(timedelta(minutes=2), abs=timedelta(seconds=5))


def test_the_latest_failed_items_newest_first(queue: Site):
    rows = ask(queue, "items", "failures", most=10, detailed=0)

    assert columns(rows, 6) == ["id", "operation", "record_id", "error_message", "retry_count", "created_at"]
    assert values(rows, "record_id", "error_message", "retry_count") == [("e", "no", 1), ("f", "nor", 3)]
    assert len(ask(queue, "items", "failures", most=1, detailed=0)) == 1


def test_the_newest_sign_up(queue: Site):
    rows = ask(queue, "items", "latest_sign_up")

    assert columns(rows, 7) == [
        "id", "record_id", "operation", "status", "created_at", "processed_at", "error_message",
    ]  # fmt: skip
    assert values(rows, "record_id", "operation", "status", "processed_at", "error_message") == [
        ("b", "SIGNUP_ATOMIC", "pending", None, None)
    ]


def test_the_three_bubble_ids_of_an_email(prepared: Site):
    person(prepared, "a", "ada@example.com")
    person(prepared, "b", "bob@example.com", bubble_ids=False)
    prepared.by_hand("insert into public.\"user\" (_id, email) values ('c', 'cyd@example.com')")

    def found(email: str) -> list[Row]:
        return ask(prepared, "items", "bubble_ids", email=email, record_id=None)

    names = ["_id", "email", "user_bubble_id", "host_bubble_id", "guest_bubble_id"]
    assert list(found("ada@example.com")[0]) == names
    assert values(found("ada@example.com"), *names) == [("a", "ada@example.com", "user-a", "host-a", "guest-a")]
    assert values(found("bob@example.com"), *names) == [("b", "bob@example.com", None, None, None)]
    assert values(found("cyd@example.com"), *names) == [("c", "cyd@example.com", None, None, None)]
    assert found("eve@example.com") == []


@pytest.fixture
def history(prepared: Site) -> Site:
    """Four runs of the processor in a day and one before it, one of them failed, one running; one of somebody's job."""
    schedule(prepared, PROCESSOR, RETRY, "theirs")
    run(prepared, 1, PROCESSOR, "25 hours", seconds=50)
    run(prepared, 2, PROCESSOR, "4 min", seconds=1, said="1 row")
    run(prepared, 3, "theirs", "3 min", seconds=90)
    run(prepared, 4, PROCESSOR, "3 min", "failed", seconds=3, said="ERROR: no")
    run(prepared, 5, PROCESSOR, "2 min", seconds=2)
    run(prepared, 6, PROCESSOR, "1 min", "running")
    return prepared


def test_the_jobs(history: Site):
    rows = ask(history, "runs", "jobs")

    assert columns(rows, 5) == ["jobid", "jobname", "schedule", "active", "database"]
    assert values(rows, "jobname", "schedule", "active", "database") == [
        (PROCESSOR, "* * * * *", True, "postgres"), (RETRY, "* * * * *", True, "postgres"),
    ]  # fmt: skip


def test_the_last_runs_newest_first(history: Site):
    rows = ask(history, "runs", "latest", most=3)

    assert columns(rows, 4) == ["jobname", "status", "return_message", "start_time"]
    assert values(rows, "runid", "jobname", "status", "return_message") == [
        (6, PROCESSOR, "running", ""), (5, PROCESSOR, "succeeded", ""), (4, PROCESSOR, "failed", "ERROR: no"),
    ]  # fmt: skip


def test_the_last_runs_have_every_column_of_the_history(history: Site):
    there = {row["attname"] for row in history.by_hand(
        "select attname from pg_attribute where attrelid = 'cron.job_run_details'::regclass and attnum > 0"
    )}  # fmt: skip

    assert there <= set(ask(history, "runs", "latest", most=1)[0])


def test_a_days_performance_by_job(history: Site):
    rows = ask(history, "runs", "performance")

    assert columns(rows, 4) == ["jobname", "executions", "avg_duration_seconds", "failures"]
    assert values(rows, "jobname", "executions", "failures") == [(PROCESSOR, 4, 1)]
    assert rows[0]["avg_duration_seconds"] == pytest.approx(2)
    # Of 1, 2 and 3 seconds: nine tenths of the way from the second to the third.
    assert rows[0]["p95_duration_seconds"] == pytest.approx(2.9)
