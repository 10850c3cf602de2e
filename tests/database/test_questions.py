"""What `status`, `trace`, `runs` and `failures` answer, and that what a role may not see is unknown, never fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bubble_sync.cli.trace import next_step
from bubble_sync.config.settings import read_settings
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.health.failures import Failures, failures
from bubble_sync.health.runs import Runs, runs
from bubble_sync.health.status import Status, status
from bubble_sync.health.trace import Trace, trace
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, person, run, schedule
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, config, jwt

NO_LOG = "there is no table bubble_sync.dispatches (config dispatchLog)"
BLIND = "watcher may not read"
ASLEEP = '{"active": false, "pauseReason": "the CRM moves"}'
LATE = '{"active": false, "pauseReason": "the CRM moves", "pauseUntil": "2026-01-31T18:00:00Z"}'


def ask(site: Site, **changes: str) -> Status:
    return status(site.db, read_settings(config(**changes)), "test")


def follow(site: Site, wanted: str | None = None, **changes: str) -> Trace:
    found = trace(site.db, read_settings(config(**changes)), "test", REF, wanted)
    assert found is not None
    return found


def way(found: Trace) -> list[tuple[str, int]]:
    return [(step.what, round(step.seconds or 0)) for step in found.steps]


@pytest.fixture
def working(prepared: Site) -> Site:
    """Both jobs, each with a good run; each request on record is answered."""
    schedule(prepared, PROCESSOR, RETRY)
    run(prepared, 1, RETRY, "40 s")
    run(prepared, 2, PROCESSOR, "30 s")
    return prepared


@pytest.fixture
def watcher(working: Site) -> Iterator[Callable[..., Site]]:
    """Another role of the same database, which may do just what it is granted."""
    with ExitStack() as opened:

        def made(*grants: str) -> Site:
            other = working.as_role("watcher", *grants)
            opened.callback(other.db.close)
            return other

        yield made


class TestStatus:
    def test_of_an_empty_queue_that_is_served(self, working: Site):
        found = ask(working)

        assert (found.problems, found.not_known, found.unknown) == ((), (), {})
        assert [(job.name, job.run, job.active) for job in found.jobs] == [
            (PROCESSOR, "succeeded", True), (RETRY, "succeeded", True),
        ]  # fmt: skip
        assert found.queue
        assert found.queue.seconds_to_empty == 0

    def test_counts_each_item_once(self, working: Site):
        item(working, "90 s", record_id="a")
        item(working, "30 s", record_id="b")
        item(working, "1 min", record_id="c", operation="DELETE")
        item(working, "2 min", record_id="d", status="processing")
        item(working, "11 min", record_id="e", status="processing")
        item(working, "1 min", record_id="f", status="failed", retry_count=2)
        item(working, "1 day", record_id="g", status="failed", retry_count=3)
        for number in range(10):
            item(working, "2 hours", record_id=number, status="completed", processed=f"{number + 1} min")
        found = ask(working)

        stats = found.queue
        assert stats
        assert (stats.waiting, stats.undrained, stats.in_flight, stats.stalled) == (2, 1, 1, 1)
        assert (stats.retrying, stats.dead, stats.enqueued, stats.completed) == (1, 1, 5, 10)
        assert stats.waited_seconds == pytest.approx(90, abs=5)
        # Five more go than come in an hour, and two wait.
        assert stats.seconds_to_empty == 2 * 3600 / 5
        assert found.problems == (
            "1 stalled in processing",
            "1 dead: failed, with no attempt left",
            "1 pending with an operation that no job counts",
        )

    def test_a_queue_that_grows_is_never_empty(self, working: Site):
        item(working, "3 min")
        found = ask(working)

        assert found.queue
        assert found.queue.seconds_to_empty is None
        assert found.problems == ("an item has waited for more than 120 s",)

    def test_the_hours_durations_from_insert_to_completed_are_measured(self, working: Site):
        for number, (ago, processed) in enumerate(
            (("21 s", "20 s"), ("62 s", "60 s"), ("70 s", "40 s"), ("2 h", "61 min"))
        ):
            item(working, ago, record_id=number, status="completed", processed=processed, operation="UPDATE")
        item(working, "90 s", record_id="other", operation="DELETE", status="completed", processed="1 s")
        item(working, "90 s", record_id="failed", status="failed", processed="1 s")
        item(working, "5 s", record_id="clock", status="completed", processed="10 s")
        working.by_hand(
            "insert into public.sync_queue (table_name, record_id, operation, status, created_at, processed_at) "
            "values ('user', 'ever', 'INSERT', 'completed', '-infinity', now())"
        )
        took = ask(working).took

        assert took
        assert (took.items, took.median, took.longest) == (3, pytest.approx(2), pytest.approx(30))
        assert took.p95 == pytest.approx(27.2)

    def test_an_hour_without_a_completed_item_has_no_durations(self, working: Site):
        took = ask(working).took

        assert took
        assert (took.items, took.median, took.p95, took.longest) == (0, None, None, None)

    def test_jobs_that_are_absent_asleep_failing_or_overdue_are_named(self, working: Site):
        working.by_hand("set role postgres", f"select cron.unschedule('{RETRY}')")
        run(working, 9, PROCESSOR, "5 s", "failed")
        assert ask(working).problems == (
            f"job {PROCESSOR} failed in its last run (runid 9)", f"job {RETRY} is not there",
        )  # fmt: skip

        working.by_hand("update cron.job set active = false")
        assert ask(working).problems[0] == f"job {PROCESSOR} is not active"

        working.by_hand("update cron.job set active = true", "delete from cron.job_run_details")
        run(working, 10, PROCESSOR, "10 min")
        assert f"job {PROCESSOR} was due at " in ask(working).problems[0]

    def test_a_job_that_sleeps_on_purpose_is_no_problem_and_neither_is_what_waits_for_it(self, working: Site):
        working.by_hand("update cron.job set active = false where jobid = 1", "delete from cron.job_run_details")
        run(working, 1, RETRY, "40 s")
        item(working, "1 hour")
        found = ask(working, processor=ASLEEP)

        assert (found.problems, found.not_known) == ((), ())
        assert found.pauses == (f"job {PROCESSOR} is paused (the CRM moves)",)
        assert ask(working).problems == (
            "an item has waited for more than 120 s", f"job {PROCESSOR} is not active",
        )  # fmt: skip

    def test_a_sleeping_retry_excuses_no_item_that_waits(self, working: Site):
        working.by_hand("update cron.job set active = false where jobid = 2")
        item(working, "1 hour")

        assert ask(working, retry=ASLEEP).problems == ("an item has waited for more than 120 s",)

    def test_a_pause_that_should_be_over_is_a_problem_and_so_is_what_waits_for_it(self, working: Site):
        working.by_hand("update cron.job set active = false where jobid = 1")
        item(working, "1 hour")
        found = ask(working, processor=LATE)

        assert found.problems == (
            "an item has waited for more than 120 s",
            f"job {PROCESSOR} is paused until 2026-01-31 18:00:00 UTC (the CRM moves); that is past: "
            "`bubble-sync resume --job processor`",
        )
        assert found.pauses == ()

    def test_a_job_that_runs_although_it_should_sleep_is_a_problem(self, working: Site):
        assert ask(working, retry=ASLEEP).problems == (
            f"job {RETRY} is active but configured as paused (the CRM moves); run `pulumi up`",
        )

    def test_a_sleeping_job_that_is_gone_or_not_shown_is_said(self, working: Site, watcher: Callable[..., Site]):
        assert ask(watcher(), retry=ASLEEP).not_known[-1] == f"job {RETRY}: {BLIND} cron.job"
        working.by_hand("set role postgres", f"select cron.unschedule('{RETRY}')")
        assert ask(working, retry=ASLEEP).problems == (f"job {RETRY} is not there",)

    def test_of_a_stack_with_alerts_their_job_is_expected_too(self, working: Site, watcher: Callable[..., Site]):
        alerts = {"alerts": "{}", "alertWebhookUrl": "https://hooks.example.com/x"}

        assert ask(working, **alerts).problems == ("job bubble-sync-alerts is not there",)
        assert ask(watcher(), **alerts).not_known[-1] == f"job bubble-sync-alerts: {BLIND} cron.job"

    def test_a_job_that_never_ran_is_overdue_once_its_run_would_be_on_record(self, working: Site):
        working.by_hand("delete from cron.job_run_details where runid = 2")
        found = ask(working)

        assert (found.problems, found.not_known) == ((), ())
        assert found.jobs[0].first_due is not None

        working.by_hand("update cron.job_run_details set start_time = now() - interval '1 day'")
        assert f"job {PROCESSOR} was due at " in ask(working).problems[0]

    def test_the_last_request_of_each_function_counts(self, working: Site):
        dispatch(working, 1, "3 min", "rejected", status_code=401)
        dispatch(working, 2, "2 min", "ok", status_code=200, processed=3, failed=0)
        dispatch(working, 3, "1 min", "rejected", function="bubble_sync_retry", status_code=500)
        found = ask(working)
        assert [str(request) for request in found.requests] == [
            "ok (HTTP 200, 3 processed, 0 failed)", "rejected (HTTP 500)",
        ]  # fmt: skip
        assert found.problems == ("the last request of bubble_sync_retry was rejected (HTTP 500)",)

        dispatch(working, 4, "5 s", None, function="bubble_sync_retry")
        assert ask(working).problems == ()

        working.by_hand("insert into net._http_response (id, status_code) values (4, 401)")
        assert ask(working).problems == ("the last request of bubble_sync_retry was rejected (HTTP 401)",)

    @pytest.mark.parametrize(
        ("verdict", "content", "said"),
        [
            ("refused by its body", "{\"error\": \"ada@example.com\"}",
             "refused by its body (HTTP 200, {\"error\": \"[email]\"})"),
            ("not the function''s answer", "<html>\n  log in",
             "not the function's answer (HTTP 200, <html> log in)"),
        ],
    )  # fmt: skip
    def test_a_good_status_with_another_body_is_a_problem_with_what_it_said(
        self, working: Site, verdict: str, content: str, said: str
    ):
        dispatch(working, 1, "1 min", verdict, status_code=200)
        working.by_hand(f"insert into net._http_response (id, status_code, content, created) "
                        f"values (1, 200, '{content}', now() - interval '1 min')")  # fmt: skip
        assert ask(working).problems == (f"the last request of bubble_sync_processor was {said}",)
        working.by_hand("update bubble_sync.dispatches set runid = 2")
        found = runs(working.db, read_settings(config()), "test", 1)
        assert (str(found.runs[0].request), found.clean) == (said, False)

        item(working, "70 s")
        assert [step.detail for step in follow(working, None).steps if step.what == "response"] == [said]

    def test_an_answer_that_says_nothing_is_unknown_until_an_item_was_processed(self, working: Site):
        dispatch(working, 1, "1 min", "answered", status_code=204)
        found = ask(working)
        unknown = "whether the last request of bubble_sync_processor did anything: it was answered (HTTP 204)"
        assert (found.problems, found.not_known) == ((), (unknown,))

        item(working, "2 min", status="completed", processed="50 s")
        found = ask(working)
        assert (found.problems, found.not_known) == ((), ())
        assert str(found.requests[0]) == "ok (HTTP 204, an item was processed since)"

    def test_without_a_log_a_page_is_no_good_answer(self, working: Site):
        working.by_hand("drop table bubble_sync.dispatches")
        working.by_hand("insert into net._http_response (id, status_code, content) values (1, 200, ' <html>')")

        assert ask(working).not_known == (
            "whether a request of ours was refused: HTTP 200 with a web page or a no in it is the last response",
        )

    def test_without_a_log_the_last_response_is_anybodys(self, working: Site):
        working.by_hand("drop table bubble_sync.dispatches")
        good = ask(working)
        assert (good.problems, good.not_known, good.unknown) == ((), (), {"requests": NO_LOG})

        working.by_hand("insert into net._http_response (id, status_code) values (1, 401)")
        assert ask(working).not_known == ("whether a request of ours was refused: HTTP 401 is the last response",)

    def test_what_a_role_may_not_see_is_unknown(self, working: Site, watcher: Callable[..., Site]):
        item(working, "1 hour")
        found = ask(watcher())

        assert found.problems == ()
        assert found.queue is None
        assert found.not_known == (
            f"items: {BLIND} public.sync_queue",
            f"job {PROCESSOR}: {BLIND} cron.job",
            f"job {RETRY}: {BLIND} cron.job",
        )
        assert found.unknown["requests"] == f"{BLIND} bubble_sync.dispatches"

    def test_what_row_security_hides_is_unknown(self, working: Site, watcher: Callable[..., Site]):
        item(working, "1 hour")
        grants = (
            "grant usage on schema public, cron to watcher",
            "grant select on public.sync_queue, cron.job, cron.job_run_details to watcher",
        )
        found = ask(watcher(*grants))

        assert found.problems == ()
        assert found.not_known == (
            "items: row security hides rows of public.sync_queue from watcher",
            f"job {PROCESSOR}: row security hides rows of cron.job from watcher",
            f"job {RETRY}: row security hides rows of cron.job from watcher",
        )

    def test_a_database_that_has_nothing_is_said_not_failed(self, site: Site):
        site.by_hand("drop table public.sync_queue")
        found = ask(site)

        assert found.not_known == (
            "items: there is no table public.sync_queue",
            f"job {PROCESSOR}: there is no table cron.job",
            f"job {RETRY}: there is no table cron.job",
        )


class TestTrace:
    def test_the_way_of_a_sign_up_that_synced(self, working: Site):
        person(working, "r1", "ada@example.com")
        made = item(working, "100 s", status="completed", processed="25 s")
        working.by_hand("update cron.job_run_details set runid = runid + 10")
        run(working, 1, PROCESSOR, "95 s")
        dispatch(working, 7, "90 s", "ok", status_code=200, processed=0)
        dispatch(working, 8, "27 s", "ok", status_code=200, processed=1, duration_ms=3000)
        dispatch(working, 9, "10 s", "ok", status_code=200, processed=1)
        working.by_hand("insert into net._http_response (id, status_code, created) "
                        "values (8, 200, now() - interval '24 s')")  # fmt: skip

        for wanted in (None, made, "r1", "ada@example.com"):
            found = follow(working, wanted)
            assert found.id == made
            assert way(found) == [
                ("inserted", 0), ("first run", 5), ("request", 10), ("response", 70), ("request", 73),
                ("completed", 75), ("response", 76),
            ]  # fmt: skip
            assert (found.synced, found.late, found.unknown) == (True, False, {})
            assert found.steps[-1].detail == "ok (HTTP 200, in 3 s, 1 processed)"
            assert found.bubble_ids == {
                "user_bubble_id": "user-r1", "host_bubble_id": "host-r1", "guest_bubble_id": "guest-r1",
            }  # fmt: skip
            assert found.took_seconds == pytest.approx(75)

    def test_a_failed_run_has_its_error_and_leads_to_the_doctor(self, working: Site):
        item(working, "40 s")
        working.by_hand("delete from cron.job_run_details where runid = 2")
        run(working, 3, PROCESSOR, "30 s", status="failed", said="ERROR:  no for ada@example.com\nDETAIL:  x")

        found = follow(working)

        assert found.steps[1].detail.endswith(", failed: ERROR:  no for [email]")
        assert (found.late, next_step(found)) == (False, "`bubble-sync doctor`")

    @pytest.mark.parametrize(
        ("verdicts", "step"),
        [
            (["rejected"], "`bubble-sync doctor`"),
            (["ok", "refused by its body"], "`bubble-sync doctor`"),
            (["rejected", "ok"], "`bubble-sync trace --latest` in a minute"),
            ([], "`bubble-sync trace --latest` in a minute"),
        ],
    )
    def test_the_newest_answer_leads_to_the_doctor_when_it_is_bad(self, working: Site, verdicts: list[str], step: str):
        item(working, "115 s")
        for number, verdict in enumerate(verdicts):
            dispatch(working, number + 1, f"{110 - 40 * number} s", verdict, status_code=200)

        assert next_step(follow(working)) == step

    def test_an_item_older_than_the_runs_that_are_read_has_no_first_run(self, working: Site):
        item(working, "1 hour", status="completed", processed="59 min")
        working.by_hand(
            "insert into cron.job_run_details (jobid, runid, database, username, status, start_time) "
            "select 1, runid, 'postgres', 'postgres', 'succeeded', now() - interval '30 min' "
            "from generate_series(3, 10002) as runid"
        )
        assert "older than the newest 10,000 runs" in follow(working).unknown["runs"]

    def test_it_is_late_after_two_minutes(self, working: Site):
        item(working, "200 s", status="completed", processed="50 s")
        assert (follow(working).late, follow(working).synced) == (True, True)

        item(working, "121 s", record_id="r2")
        assert (follow(working).late, follow(working).synced) == (True, False)

        item(working, "20 s", record_id="r3")
        assert (follow(working).late, follow(working).synced) == (False, False)

    def test_it_says_where_an_item_stands_that_did_not_sync(self, working: Site):
        def standing(ago: str, **columns: object) -> str:
            item(working, ago, **columns)
            return follow(working).steps[-1].detail

        assert standing("9 s") == "status pending"
        failed = {"status": "failed", "error_message": "sign-up of ada@example.com refused"}
        assert standing("8 s", record_id="a", retry_count=3, **failed) == (
            "status failed, attempt 3 of 3: no attempt left"
        )
        assert standing("7 s", record_id="b", retry_count=1, **failed) == (
            "status failed, attempt 1 of 3, due at the retry's next run"
        )
        assert standing("6 s", record_id="c", retry_count=1, due="60 s", **failed).startswith(
            "status failed, attempt 1 of 3, due at "
        )
        assert follow(working).error == "sign-up of [email] refused"

    def test_empty_bubble_ids_are_not_synced(self, working: Site):
        person(working, "r1", "ada@example.com", bubble_ids=False)
        item(working, "60 s", status="completed", processed="20 s")

        assert not follow(working).synced

    def test_absent_tables_are_said_not_failed(self, working: Site):
        item(working, "60 s", status="completed", processed="20 s")
        assert follow(working).unknown == {"bubble_ids": "public.user has no row with _id r1"}

        working.by_hand("drop table bubble_sync.dispatches", "drop extension pg_cron cascade",
                        "drop table public.account_guest cascade")  # fmt: skip
        found = follow(working)
        assert way(found) == [("inserted", 0), ("completed", 40)]
        assert found.unknown == {
            "runs": "there is no table cron.job",
            "requests": NO_LOG,
            "bubble_ids": "there is no table public.account_guest",
        }
        assert found.synced

    def test_an_item_of_another_operation_has_no_bubble_ids(self, working: Site):
        made = item(working, "60 s", operation="UPDATE", status="completed", processed="20 s")

        found = follow(working, made)
        assert (found.bubble_ids, found.unknown, found.synced) == (None, {}, True)

    def test_what_is_not_there_is_none(self, working: Site):
        for wanted in (None, "r1", "ada@example.com"):
            assert trace(working.db, read_settings(config()), "test", REF, wanted) is None

    def test_an_email_needs_the_table_of_users(self, working: Site):
        working.by_hand('drop table public."user"')

        with pytest.raises(PrerequisiteMissing, match=r"unknown: there is no table public\.user"):
            follow(working, "ada@example.com")

    def test_a_role_that_may_not_read_the_queue_is_refused(self, working: Site, watcher: Callable[..., Site]):
        with pytest.raises(PrivilegeMissing, match=r"unknown: watcher may not read public\.sync_queue"):
            follow(watcher())

    @pytest.mark.parametrize(
        ("age", "detail"), [("30 s", "outstanding"), ("10 min", "outstanding")], ids=["within", "past"]
    )
    def test_a_request_without_a_response_says_so(self, working: Site, age: str, detail: str):
        item(working, "11 min")
        dispatch(working, 7, age, None, runid=2)

        (request,) = (step for step in follow(working, None).steps if step.what == "request")
        assert request.detail.endswith(f": {detail}, no response yet")


class TestRuns:
    def ask(self, site: Site, **changes: str) -> Runs:
        return runs(site.db, read_settings(config(**changes)), "test", 10)

    @pytest.mark.parametrize(("age", "clean"), [("30 s", True), ("10 min", False)])
    def test_a_request_without_a_response_counts_from_its_timeout_on(self, working: Site, age: str, clean: bool):
        run(working, 3, PROCESSOR, age)
        dispatch(working, 7, age, None, runid=3)
        found = self.ask(working)

        assert (found.clean, found.stuck is None) == (clean, clean)
        assert [str(one.request) for one in found.runs if one.request] == ["outstanding"]

    def test_each_run_has_its_request(self, working: Site):
        dispatch(working, 7, "30 s", "ok", runid=2, status_code=200, processed=1, failed=0)
        found = self.ask(working)

        assert [(one.jobname, one.executions, one.failures) for one in found.performance] == [
            (PROCESSOR, 1, 0), (RETRY, 1, 0),
        ]  # fmt: skip
        assert [(one.runid, one.status, one.request and str(one.request)) for one in found.runs] == [
            (2, "succeeded", "ok (HTTP 200, 1 processed, 0 failed)"), (1, "succeeded", None),
        ]  # fmt: skip
        assert found.clean

    def test_how_long_an_answer_took_and_what_was_held_back_since_is_said(self, working: Site):
        dispatch(working, 7, "30 s", "ok", runid=2, status_code=200, duration_ms=12_345, skipped=2)
        dispatch(working, 8, "40 s", "ok", runid=1, status_code=200, duration_ms=999)
        sent = [one.request for one in self.ask(working).runs if one.request]

        assert [(one.duration_ms, one.skipped, str(one)) for one in sent] == [
            (12_345, 2, "ok (HTTP 200, in 12 s, 2 skipped since)"), (999, 0, "ok (HTTP 200, in under 1 s)"),
        ]  # fmt: skip

    def test_a_failed_run_is_not_clean_and_tells_no_key(self, working: Site):
        run(working, 3, PROCESSOR, "10 s", "failed", said=f"ERROR:  bad header {jwt()}\nDETAIL:  ada@example.com")
        found = self.ask(working)

        assert found.runs[0].message == "ERROR:  bad header [secret]"
        assert not found.clean

    def test_a_rejected_request_of_a_green_run_is_not_clean(self, working: Site):
        dispatch(working, 7, "30 s", "rejected", runid=2, status_code=401)

        assert not self.ask(working).clean

    def test_an_answer_that_no_tick_has_noted_yet_counts_too(self, working: Site):
        dispatch(working, 7, "30 s", None, runid=2)
        assert self.ask(working).clean

        working.by_hand("insert into net._http_response (id, status_code) values (7, 500)")
        assert not self.ask(working).clean

    def test_without_a_log_the_runs_are_told(self, working: Site):
        working.by_hand("drop table bubble_sync.dispatches")
        found = self.ask(working)

        assert found.unknown == {"requests": NO_LOG}
        assert len(found.runs) == 2

    def test_a_job_that_sleeps_on_purpose_spoils_nothing(self, working: Site):
        working.by_hand("update cron.job set active = false where jobid = 2")

        assert not self.ask(working).clean
        assert self.ask(working, retry=ASLEEP).clean

    def test_no_run_is_not_clean(self, prepared: Site):
        assert not self.ask(prepared).clean

    def test_what_a_role_may_not_see_is_unknown(self, working: Site, watcher: Callable[..., Site]):
        found = self.ask(watcher())

        assert found.unknown == {"runs": f"{BLIND} cron.job"}
        assert not found.clean


class TestFailures:
    def ask(self, site: Site, most: int = 10) -> Failures:
        return failures(site.db, "test", REF, most)

    def test_items_are_grouped_by_what_their_errors_share(self, working: Site):
        item(working, "3 min", record_id="a", status="failed", error_message="HTTP 500", retry_count=3)
        for minute in (1, 2):
            said = f"record {'0' * 7}{minute}-0000-0000-0000-000000000000 is missing"
            item(working, f"{minute} min", record_id=minute, status="failed", error_message=said, retry_count=minute)
        item(working, "4 min", record_id="b", status="failed", due="1 hour")
        item(working, "5 min", record_id="c", status="completed", error_message="HTTP 500")
        found = self.ask(working)

        assert [(group.error, [one.record_id for one in group.items]) for group in found.groups] == [
            ("record [id] is missing", ["1", "2"]), ("HTTP 500", ["a"]), ("no error message", ["b"]),
        ]  # fmt: skip
        assert [(one.retry_count, one.max_retries, one.dead) for one in found.groups[1].items] == [(3, 3, True)]
        assert found.groups[2].items[0].next_retry_at
        assert found.function_log.endswith(f"/{REF}/functions/bubble_sync/logs")
        assert self.ask(working, most=2).items == 2

    def test_what_the_function_noted_is_shown_on_request_for_the_listed_items_without_secrets(self, working: Site):
        for minute in (1, 2):
            item(
                working, f"{minute} min", record_id=minute, status="failed", error_message="HTTP 400",
                error_details='{"status": 400, "token": "abc", "body": "ada@example.com"}',
                bubble_response='{"response": {"id": "1x2"}}',
            )  # fmt: skip

        (shown,) = failures(working.db, "test", REF, 1, details=True).groups
        (plain,) = self.ask(working).groups

        assert shown.count == 2
        assert [dict(one.details) for one in shown.items] == [
            {
                "error_details": '{"body": "[email]", "token": "[secret]", "status": 400}',
                "bubble_response": '{"response": {"id": "1x2"}}',
            }
        ]
        assert [dict(one.details) for one in plain.items] == [{}, {}]

    def test_a_queue_without_these_columns_has_no_details(self, working: Site):
        item(working, "1 min", record_id="a", status="failed")
        working.by_hand("alter table public.sync_queue drop column error_details, drop column bubble_response")

        (group,) = failures(working.db, "test", REF, 1, details=True).groups

        assert group.items[0].details == {}

    def test_none_is_none(self, working: Site):
        assert self.ask(working).groups == ()

    def test_what_a_role_may_not_see_is_unknown(self, working: Site, watcher: Callable[..., Site]):
        assert self.ask(watcher()).unknown == {"items": f"{BLIND} public.sync_queue"}
