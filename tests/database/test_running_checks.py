"""What the checks about runs, requests and items say beside the plain case: levels, causes, and remedies that work."""

from __future__ import annotations

import json

import pytest

from bubble_sync.config.settings import StackSettings
from bubble_sync.health.doctor import Diagnosis, Finding
from bubble_sync.sql_loader import checks
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.breaking.running import DAY, answer, failed, item, overlapping, refused, request, run, runs
from tests.fixtures.site import Site

REMEDIED = {
    "runid_behind": (runs(run(50, "succeeded", "1 row")), "select setval('cron.runid_seq', 49)"),
    "items_without_limit": (
        "alter table public.sync_queue alter max_retries drop not null",
        item("failed", max_retries=None),
    ),
    "items_undrained": (item(operation="DELETE"),),
}


def of(found: Diagnosis, check: str) -> Finding:
    (finding,) = [finding for finding in found.findings if finding.id == check]
    return finding


@pytest.mark.parametrize("check", REMEDIED)
def test_a_remedy_in_sql_can_be_run_as_it_stands(converged: Site, check: str):
    converged.by_hand(*REMEDIED[check])
    remedy = of(diagnose(converged), check).remedy
    start = min(at for word in ("select ", "update ", "delete ") if (at := remedy.find(word)) >= 0)
    statement, _, _ = remedy[start:].partition(";")

    converged.by_hand("set role postgres", statement)

    assert check not in [finding.id for finding in diagnose(converged).findings]


@pytest.mark.parametrize(
    ("history", "level"),
    [
        ([failed(1, "ERROR: no"), failed(2, "ERROR: no")], "error"),
        ([failed(1, "ERROR: no"), failed(2, "ERROR: no"), run(3, "succeeded", "1 row")], "info"),
        ([failed(1, "ERROR: no"), run(2, "succeeded", ""), failed(3, "ERROR: no"), run(4, "succeeded", "")], "warning"),
    ],
    ids=["failing", "mended", "now and again"],
)
def test_failed_runs_weigh_by_what_came_after_them(converged: Site, history: list[str], level: str):
    converged.by_hand(runs(*history))

    assert of(diagnose(converged), "runs_failing").level == level


def test_runs_that_are_mended_explain_no_item_that_waits(converged: Site):
    converged.by_hand(runs(failed(1, "ERROR: no"), run(2, "succeeded", "1 row")), item(ago="10 minutes"))

    assert [finding.id for finding in diagnose(converged).causes] == ["items_waiting", "runs_failing"]


def test_many_sign_ups_at_once_are_no_growth_until_one_is_late(converged: Site):
    converged.by_hand(*(item() for _ in range(6)))
    assert diagnose(converged).clean

    converged.by_hand(
        "update public.sync_queue set created_at = now() - interval '3 minutes'", request(1, "ok", ago="1 minute")
    )
    assert [finding.id for finding in diagnose(converged).causes] == ["queue_growing"]


def test_a_queue_grows_also_without_a_log_of_requests(site: Site):
    settings = working(dispatchLog="false")
    set_up(site, settings)
    site.by_hand(*(item(ago="3 minutes") for _ in range(6)))

    assert [finding.id for finding in diagnose(site, settings).causes] == ["queue_growing"]


@pytest.mark.parametrize(
    ("requests", "causes"),
    [
        ([(150, "ok", 5), (90, "answered", None), (30, "answered", None)], ["items_waiting"]),
        ([], ["items_waiting"]),
        ([(240, "ok", 5)], ["items_waiting"]),
        ([(240, "ok", 5), (90, "ok", 0), (30, "ok", 0)], ["items_waiting"]),
        ([(90, "ok", 5)], ["queue_growing"]),
        ([(90, "partial", 4)], ["queue_growing"]),
        ([(90, "ok", None), (30, "answered", None)], ["queue_growing"]),
        ([(240, "ok", 5), (130, "answered", None), (30, "answered", None)], ["request_answered_with_nothing"]),
    ],
    ids=[
        "says nothing",
        "none",
        "none since",
        "processes nothing",
        "works",
        "works in part",
        "worked",
        "said nothing for long",
    ],
)
def test_a_queue_grows_for_its_sizes_alone_when_requests_process_items(
    converged: Site, requests: list[tuple[int, str, int | None]], causes: list[str]
):
    converged.by_hand(*(item(ago="140 s") for _ in range(6)))
    for number, (seconds, verdict, processed) in enumerate(requests):
        sent = request(number, verdict, status_code=200, processed=processed)
        moved = (
            f"update bubble_sync.dispatches set sent_at = now() - interval '{seconds} s' where request_id = {number}"
        )
        converged.by_hand(sent, moved)

    assert [finding.id for finding in diagnose(converged).causes] == causes


def test_one_cause_comes_out_of_what_a_missing_job_brings_about(converged: Site):
    converged.by_hand(
        "delete from cron.job where jobname = 'bubble-sync-processor'",
        request(3, None),
        request(4, "ok", ago="9 minutes"),
        *(item(ago="10 minutes") for _ in range(6)),
    )

    found = diagnose(converged)

    assert {finding.id for finding in found.findings} == {
        "job_missing", "request_unanswered", "queue_growing", "items_waiting",
    }  # fmt: skip
    assert [finding.id for finding in found.causes] == ["job_missing"]


def test_one_cause_comes_out_of_a_key_that_is_refused(converged: Site):
    converged.by_hand(*refused(401), answer(3, 401, '{"error": "not you"}'), item(ago="10 minutes"))

    (cause,) = diagnose(converged).causes

    assert (cause.id, "the function itself refuses the key" in cause.evidence) == ("request_unauthorized", True)


STALE = {
    "request_unauthorized": refused(401),
    "request_forbidden": refused(403),
    "request_not_found": refused(404),
    "request_answered_by_other": (request(3, "not the function''s answer", status_code=200),),
    "endpoint_unreachable": (request(3, "rejected", error="Could not resolve hostname"),),
}


@pytest.mark.parametrize("secret", ["supabase_url", "service_role_key"])
@pytest.mark.parametrize("check", STALE)
def test_an_answer_of_before_a_changed_secret_is_no_error(converged: Site, check: str, secret: str):
    converged.by_hand(*STALE[check], item(ago="10 minutes"))
    assert [(one.id, one.level) for one in diagnose(converged).causes] == [(check, "error")]

    converged.by_hand(f"update vault.secrets set updated_at = now() where name = '{secret}'")

    found = diagnose(converged)
    assert [(one.id, one.level) for one in found.causes] == [("items_waiting", "error"), (check, "info")]
    assert "03:03:00 UTC, before a secret was changed" in of(found, check).evidence


@pytest.mark.parametrize("check", STALE)
def test_an_answer_of_after_the_changed_secret_is_an_error(converged: Site, check: str):
    converged.by_hand(*STALE[check], f"update vault.secrets set updated_at = '{DAY} 03:02:59+00'")

    assert [(one.id, one.level) for one in diagnose(converged).findings] == [(check, "error")]


def test_the_secret_of_another_sender_leaves_an_answer_as_it_is(converged: Site):
    converged.by_hand(*refused(401), "select vault.create_secret('x', 'of_another_sender')")

    assert of(diagnose(converged), "request_unauthorized").level == "error"


def test_a_key_that_no_function_accepts_is_the_cause_of_its_refusal(converged: Site):
    key = "sb_publishable_0123456789abcdef"
    converged.by_hand(
        f"select vault.update_secret(id, '{key}') from vault.secrets where name = 'service_role_key'",
        *refused(401), answer(3, 401, '{"error": "not you"}'), item(ago="10 minutes"),
    )  # fmt: skip
    assert [cause.id for cause in diagnose(converged).causes] == ["secret_malformed"]


def test_the_newest_answer_counts_and_not_an_older_one(converged: Site):
    converged.by_hand(*refused(401), request(4, "ok", status_code=200, processed=3))

    assert diagnose(converged).clean


def test_the_last_answer_to_the_retry_is_past_once_a_later_one_to_the_processor_is_good(converged: Site):
    converged.by_hand(request(2, "timed out", function="bubble_sync_retry"), request(3, "ok", status_code=200))
    assert diagnose(converged).clean

    converged.by_hand(request(4, "timed out", function="bubble_sync_retry"))
    assert [cause.id for cause in diagnose(converged).causes] == ["request_timed_out"]


def test_an_answer_that_no_tick_has_read_yet_counts(converged: Site):
    now = "now() - interval '5 s'"
    converged.by_hand(
        *refused(503),
        "insert into bubble_sync.dispatches (function, request_id, sent_at) "
        f"values ('bubble_sync_processor', 9, {now})",
    )
    assert [cause.id for cause in diagnose(converged).causes] == ["endpoint_failing"]

    converged.by_hand(f"insert into net._http_response (id, status_code, created) values (9, 200, {now})")

    assert diagnose(converged).clean


@pytest.mark.parametrize(
    ("content", "cause", "begins"),
    [
        ("'{\"success\": false}'", "request_refused_by_body", '{"success": false}'),
        ("'<html>'", "request_answered_by_other", "<html>"),
        ("null", "request_answered_with_nothing", "nothing"),
    ],
)
def test_a_good_status_is_not_enough(converged: Site, content: str, cause: str, begins: str):
    ago = "now() - interval '130 s'"
    converged.by_hand(
        "insert into bubble_sync.dispatches (function, request_id, sent_at) "
        f"values ('bubble_sync_processor', 9, {ago})",
        f"insert into net._http_response (id, status_code, content, created) values (9, 200, {content}, {ago})",
        item(ago="10 minutes"),
    )

    found = diagnose(converged)

    assert [one.id for one in found.causes] == [cause]
    assert found.causes[0].evidence.endswith(f": {begins}")
    assert of(found, "items_waiting").follows == (cause,)


@pytest.mark.parametrize(("seconds", "named"), [(170, True), (110, False)])
def test_answers_that_say_nothing_are_named_after_two_minutes_of_a_schedule_in_seconds(
    converged: Site, seconds: int, named: bool
):
    sent = f"now() - number * interval '1 second' from generate_series(1, {seconds}) as number order by number desc"
    converged.by_hand(
        "insert into bubble_sync.dispatches (function, request_id, status_code, verdict, settled_at, sent_at) "
        f"select 'bubble_sync_processor', number, 202, 'answered', now(), {sent}",
        item(ago="10 minutes"),
    )

    causes = [one.id for one in diagnose(converged).causes]

    assert causes == ["request_answered_with_nothing" if named else "items_waiting"]


def test_answers_that_say_nothing_are_good_where_items_are_processed(converged: Site):
    converged.by_hand(
        request(3, "answered", status_code=202),
        item("completed", ago=f"{DAY} 03:02:50+00", processed_at=f"{DAY} 03:03:09+00"),
    )
    assert diagnose(converged).clean

    converged.by_hand("update public.sync_queue set processed_at = processed_at + interval '1 day'")
    assert of(diagnose(converged), "request_answered_with_nothing").level == "warning"

    converged.by_hand(*(request(number, "answered", status_code=202) for number in (4, 5)))
    assert of(diagnose(converged), "request_answered_with_nothing").level == "error"


@pytest.mark.parametrize(("content", "found"), [("<html>", 1), ('{"success": false}', 1), ("ok", 0), ("", 0)])
def test_without_a_log_a_page_or_a_no_is_seen_in_whosever_answer(site: Site, content: str, found: int):
    settings = working(dispatchLog="false")
    set_up(site, settings)
    site.by_hand(answer(1, 200, content))

    assert len(diagnose(site, settings).findings) == found


def test_a_run_that_does_not_end_is_named_with_what_ends_it(converged: Site):
    (backend,) = converged.by_hand("select pid from pg_stat_activity where backend_type = 'checkpointer'")
    converged.by_hand(
        runs("(7, 'running', null, timestamptz '2026-11-20 03:00:00+00', null::timestamptz)"),
        f"update cron.job_run_details set job_pid = {backend['pid']}",
        "update bubble_sync.ledger set recorded_at = now() - interval '1 day' where object like '%-processor'",
    )

    silent = of(diagnose(converged), "job_silent")

    assert silent.evidence.startswith("its newest run (runid 7) is running since then: it began at 2026-11-20 03:00:00")
    assert silent.remedy == f"select pg_catalog.pg_cancel_backend({backend['pid']});"


def test_a_job_that_has_just_run_is_not_silent(converged: Site):
    converged.by_hand(runs(run(7, "succeeded", "1 row")))

    assert diagnose(converged).clean


def test_a_job_that_clears_the_history_is_recognised(converged: Site):
    converged.by_hand(
        runs("(1, 'succeeded', '1 row', timestamptz '2026-01-02', timestamptz '2026-01-02')"),
        "select cron.schedule('mine', '0 3 * * *', 'DELETE FROM cron.job_run_details WHERE end_time < now()')",
    )

    assert "run_history_growing" not in [finding.id for finding in diagnose(converged).findings]


def asleep(until: str) -> StackSettings:
    """A configuration that puts both jobs to sleep."""
    pause = json.dumps({"active": False, "pauseReason": "the CRM moves", "pauseUntil": until})
    return working(processor=pause, retry=pause)


def test_what_a_pause_brings_about_is_merely_told_while_it_lasts(site: Site):
    settings = asleep("2999-01-31T18:00:00Z")
    set_up(site, settings)
    site.by_hand(request(3, None), *(item(ago="10 minutes") for _ in range(6)))

    found = diagnose(site, settings)

    assert {cause.id for cause in found.causes} == {"job_paused"}
    assert (of(found, "items_waiting").level, found.clean) == ("info", True)
    assert of(found, "items_waiting").follows == ("job_paused",)
    assert {cause.evidence for cause in found.causes} == {"it is paused until 2999-01-31 18:00:00 UTC (the CRM moves)"}


def test_a_pause_that_should_be_over_is_warned_of_with_what_ends_it(site: Site):
    settings = asleep("2026-01-31T18:00:00Z")
    set_up(site, settings)
    site.by_hand(item(ago="10 minutes"))

    found = diagnose(site, settings)

    assert {(cause.level, cause.remedy) for cause in found.causes} == {
        ("warning", "bubble-sync resume --job processor"), ("warning", "bubble-sync resume --job retry"),
    }  # fmt: skip


def test_a_job_that_runs_although_it_should_sleep_is_an_error(converged: Site):
    found = diagnose(converged, working(processor='{"active": false}'))

    (cause,) = found.causes
    assert (cause.id, cause.level, cause.object) == ("job_paused", "error", "job bubble-sync-processor")
    assert cause.evidence == "it runs, and the configuration has it paused (no reason given)"


def test_overlapping_requests_are_known_to_whoever_has_switched_the_guard_on(site: Site):
    settings = working(processor='{"overlapGuard": true}')
    set_up(site, settings)
    site.by_hand(overlapping(4))
    assert "requests_overlap" in [finding.id for finding in diagnose(site).findings]

    assert diagnose(site, settings).clean


@pytest.mark.parametrize(
    "requests",
    [overlapping(2), overlapping(4, runids="null"), overlapping(4, ago="2 days")],
    ids=["once", "by hand", "two days ago"],
)
def test_requests_that_overlapped_once_by_hand_or_long_ago_are_no_reason_to_act(converged: Site, requests: str):
    converged.by_hand(requests)

    assert diagnose(converged).clean


def test_a_log_that_the_configuration_does_not_want_is_not_asked(site: Site):
    settings = working(dispatchLog="false")
    set_up(site, settings)

    found = diagnose(site, settings)

    assert found.clean
    assert found.checked == sum(not check.only for check in checks())


@pytest.mark.parametrize(
    "by_hand", ["delete from cron.job", "update cron.job set active = false", "drop extension pg_cron cascade"]
)
def test_a_job_that_was_just_made_or_woken_has_not_been_due(converged: Site, by_hand: str):
    converged.by_hand(
        runs(f"(7, 'succeeded', '1 row', timestamptz '{DAY} 03:00:00+00', timestamptz '{DAY} 03:00:01+00')"),
        "update bubble_sync.ledger set recorded_at = now() - interval '1 day'",
    )
    assert "job_silent" in [finding.id for finding in diagnose(converged).findings]
    converged.by_hand(by_hand)

    set_up(converged, working())

    assert "job_silent" not in [finding.id for finding in diagnose(converged).findings]


def test_a_401_of_the_gateway_of_supabase_start_is_the_gateways(converged: Site):
    converged.by_hand(*refused(401), answer(3, 401, '{"msg": "Invalid JWT"}'))

    assert of(diagnose(converged), "request_unauthorized").evidence.endswith('the gateway says "Invalid JWT"')
