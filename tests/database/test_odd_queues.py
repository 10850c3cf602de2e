"""Queues, and roles, that others made in another way: what is odd about them is said, and no command ends over it."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from bubble_sync.actions.requeue import carry_out, release_plan, requeue_plan
from bubble_sync.actions.run_now import count_items
from bubble_sync.cli.metrics import text_of
from bubble_sync.errors import ConfigurationError
from bubble_sync.health.failures import failures
from bubble_sync.health.metrics import measure
from bubble_sync.health.status import status
from bubble_sync.health.trace import trace
from bubble_sync.health.verify import CheckStatus, verify
from bubble_sync.sql_loader import checks
from tests.fixtures.breaking import diagnose, working
from tests.fixtures.history import dispatch, item, person, run
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

NULLABLE = "alter table public.sync_queue alter {0} drop not null"
WITHOUT_ZONE = "alter table public.sync_queue alter created_at type timestamp"
ASKED: dict[str, Callable[[Site], object]] = {
    "status": lambda site: status(site.db, working(), STACK),
    "verify": lambda site: verify(site.db, working(), STACK, None),
    "doctor": diagnose,
    "failures": lambda site: failures(site.db, STACK, None, 10),
    "trace": lambda site: trace(site.db, working(), STACK, None, None),
    "trace of a failed one": lambda site: trace(site.db, working(), STACK, None, "failed"),
    "retry": lambda site: requeue_plan(site.db, None),
    "release-stalled": lambda site: release_plan(site.db, None),
    "run-now": lambda site: count_items(site.db),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "by_hand",
    [
        (NULLABLE.format("retry_count"), "update public.sync_queue set retry_count = null"),
        (NULLABLE.format("max_retries"), "update public.sync_queue set max_retries = null"),
        (NULLABLE.format("created_at"), "update public.sync_queue set created_at = null"),
        (NULLABLE.format("operation"), "update public.sync_queue set operation = null where record_id = 'failed'"),
        ("update public.sync_queue set created_at = '-infinity'",),
        ("update public.sync_queue set next_retry_at = 'infinity', processed_at = '0044-03-15 BC'",),
        ("drop index public.sync_queue_open", WITHOUT_ZONE),
        ("alter role postgres set datestyle = 'German, DMY'",),
        ("alter role postgres set timezone = 'Asia/Kolkata'",),
    ],
    ids=[
        "no retry_count", "no max_retries", "no created_at", "no operation", "infinitely old", "never again",
        "a time without its zone", "another form of dates", "another time zone",
    ],
)  # fmt: skip
def test_every_command_has_an_answer(converged: Site, by_hand: tuple[str, ...]):
    for status_of_it in ("pending", "processing", "completed", "failed"):
        item(converged, "1 hour", status=status_of_it, record_id=status_of_it, retry_count=3)
    item(converged, "1 hour", status="failed", record_id="another", operation="INSERT")
    converged.by_hand(*by_hand)
    converged.end_sessions()

    for asked in ASKED.values():
        assert asked(converged) is not None


def test_when_a_failed_item_is_due_is_said_in_utc(converged: Site):
    item(converged, "1 hour", status="failed", due="1 hour")
    (due,) = converged.by_hand(
        "select to_char(next_retry_at at time zone 'utc', 'HH24:MI:SS') as at from public.sync_queue"
    )
    converged.by_hand("alter role postgres set timezone = 'Asia/Kolkata'")
    converged.end_sessions()

    found = trace(converged.db, working(), STACK, None, None)

    assert found is not None
    assert found.steps[-1].detail.endswith(f" {due['at']} UTC")


def test_a_pending_item_without_an_operation_is_one_that_nobody_drains(converged: Site):
    converged.by_hand(NULLABLE.format("operation"))
    one = item(converged, "1 hour")
    converged.by_hand("update public.sync_queue set operation = null")

    (finding,) = diagnose(converged).causes

    assert (finding.id, status(converged.db, working(), STACK).queue.undrained) == ("items_undrained", 1)
    assert " and operation is null and created_at <= " in finding.remedy
    converged.by_hand(finding.remedy.partition("then: ")[2].partition(";")[0])
    assert converged.by_hand("select id::text, status from public.sync_queue") == [{"id": one, "status": "completed"}]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("word", ["queued", "PENDING", "pending ", "pending\n", "error", "", None], ids=repr)
def test_items_of_a_status_that_nobody_knows_are_named_by_every_command(converged: Site, word: str | None):
    converged.by_hand(
        NULLABLE.format("status"), "alter table public.sync_queue drop constraint sync_queue_status_check"
    )
    ones = {item(converged, "1 hour"), item(converged, "1 hour", operation="DELETE", record_id="r2")}
    text = "null" if word is None else "'{}'".format(word.replace("\n", "' || chr(10) || '"))
    converged.by_hand(f"update public.sync_queue set status = {text}")

    (finding,) = diagnose(converged).causes
    asked = status(converged.db, working(), STACK)
    measured = measure(converged.db, working(), STACK, "1.0.0")
    lines = {one.id: one for one in verify(converged.db, working(), STACK, None).lines}

    shown = "NULL" if word is None else "'{}'".format(word.replace("\n", " "))
    assert (finding.id, finding.level) == ("items_unrecognised", "warning")
    assert finding.evidence.startswith(f"2 of the status {shown} (1 DELETE, 1 SIGNUP_ATOMIC), the oldest since ")
    assert "2 with a status that no job knows" in asked.problems
    assert (asked.queue.unrecognised, asked.queue.undrained) == (2, 0)
    assert lines["queue"].status is CheckStatus.NO
    assert 'queue_items{stack="test",state="unrecognised"} 2' in text_of(measured)
    converged.by_hand(finding.remedy.partition("sent: ")[2])
    put_back = converged.by_hand("select id::text from public.sync_queue where status = 'pending'")
    assert {row["id"] for row in put_back} == ones


def test_many_words_that_nobody_knows_are_ten_findings_and_their_number(converged: Site):
    converged.by_hand(
        "alter table public.sync_queue drop constraint sync_queue_status_check",
        "insert into public.sync_queue (table_name, record_id, operation, status) "
        "select 'user', number::text, 'INSERT', 'odd ' || number from generate_series(1, 500) as number",
    )

    found = [one for one in diagnose(converged).findings if one.id == "items_unrecognised"]

    assert len(found) == 10
    assert all("; one of 500 such statuses" in one.evidence for one in found)


@pytest.mark.parametrize(
    ("word", "rule", "told"),
    [
        ("skipped", "", []),
        ("archived", "in ('pending', 'processing', 'completed', 'failed', 'archived')", ["info"]),
        ("PENDING", "in ('pending', 'processing', 'completed', 'failed', 'PENDING')", ["warning"]),
    ],
)
def test_a_word_that_the_queue_declares_is_the_applications(converged: Site, word: str, rule: str, told: list[str]):
    if rule:
        converged.by_hand(
            "alter table public.sync_queue drop constraint sync_queue_status_check",
            f"alter table public.sync_queue add check (status {rule})",
        )
    item(converged, "1 hour", status=word)

    found = [one.level for one in diagnose(converged).findings if one.id == "items_unrecognised"]
    problems = status(converged.db, working(), STACK).problems

    assert (found, bool(problems)) == (told, "warning" in told)


def test_a_word_of_the_enum_is_the_applications(converged: Site):
    converged.by_hand(
        "create type public.words as enum ('pending', 'processing', 'completed', 'failed', 'archived')",
        "alter table public.sync_queue drop constraint sync_queue_status_check, alter status drop default",
        "drop index public.sync_queue_open, public.sync_queue_retry, public.sync_queue_one_pending",
        "alter table public.sync_queue alter status type public.words using status::public.words",
    )
    item(converged, "1 hour", status="archived")

    assert [(one.id, one.level) for one in diagnose(converged).findings] == [("items_unrecognised", "info")]


def test_what_is_done_by_hand_completes_no_item_that_came_meanwhile(converged: Site):
    item(converged, "1 hour", operation="DELETE")
    (remedy,) = [found.remedy for found in diagnose(converged).causes]
    later = item(converged, "-1 minute", operation="DELETE", record_id="r2")

    converged.by_hand(remedy.partition("then: ")[2].partition(";")[0])

    assert [
        row["id"] for row in converged.by_hand("select id::text from public.sync_queue where status = 'pending'")
    ] == [later]


def test_a_failed_item_without_an_operation_is_put_back_for_the_retry(converged: Site):
    converged.by_hand(NULLABLE.format("operation"))
    one = item(converged, "1 hour", status="failed", retry_count=3)
    converged.by_hand("update public.sync_queue set operation = null")

    plan = requeue_plan(converged.db, [one])

    assert [batch.transition.then for batch in plan.batches] == ["the next run of bubble-sync-retry"]
    assert carry_out(converged.db, plan).changed == (one,)


def test_bubble_ids_that_cannot_be_joined_are_unknown(converged: Site):
    person(converged, "r1", "ada@example.com")
    item(converged, "1 hour")
    converged.by_hand(
        'alter table public."user" drop constraint "user_Account - Host / Landlord_fkey"',
        "alter table public.account_host alter _id type integer using 1",
    )

    found = trace(converged.db, working(), STACK, None, None)

    assert found is not None
    assert (found.bubble_ids, list(found.unknown)) == (None, ["bubble_ids"])


def test_what_somebody_holds_is_unknown_and_waited_for_once(converged: Site):
    with psycopg.connect(converged.addresses.admin_url) as other:
        other.execute("lock table net._http_response in access exclusive mode")
        holder = other.info.backend_pid
        began = time.monotonic()
        found = diagnose(converged)

    assert time.monotonic() - began < 8, "each lock is waited for by itself"
    requests = {check.id for check in checks() if "%(requests)s" in check.text}
    assert requests <= set(found.unknown)
    for check in requests:
        assert found.unknown[check].startswith(f"the lock on net._http_response is held by pid {holder} ")


def test_another_roles_job_of_our_name_does_not_lend_us_its_run(converged: Site):
    run(converged, 1, "bubble-sync-processor", "1 hour")
    converged.by_hand(
        "update bubble_sync.ledger set recorded_at = now() - interval '1 day'",
        "insert into cron.job (jobname, schedule, command, nodeport, username) "
        "values ('bubble-sync-processor', '* * * * *', 'select 1', 1, 'supabase_admin')",
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time) "
        "select jobid, 2, 'succeeded', now(), now() from cron.job where username = 'supabase_admin'",
        # Its rows are shown to whom row security lets pass.
        "alter table cron.job disable row level security",
        "alter table cron.job_run_details disable row level security",
    )

    jobs = [job for job in status(converged.db, working(), STACK).jobs if job.name == "bubble-sync-processor"]

    assert ["was due" in job.problem for job in jobs] == [True, False]


def test_an_endpoint_that_rejects_one_function_is_not_well_because_it_answers_the_other(converged: Site):
    dispatch(converged, 7, "30 s", "rejected", status_code=401)
    dispatch(converged, 8, "10 s", "ok", function="bubble_sync_retry", status_code=200)

    lines = {line.id: line for line in verify(converged.db, working(), STACK, None).lines}

    assert lines["endpoint"].status == "no"
    assert lines["endpoint"].evidence.startswith("request 7 of bubble_sync_processor ")


def test_a_job_of_a_role_that_is_gone_is_harmless_when_the_role_is_back(converged: Site):
    converged.by_hand(
        "insert into cron.job (jobname, schedule, command, nodeport, username, active) "
        "values ('old', '0 0 * * *', 'select 1', 1, 'For\"mer role', false)"
    )
    (found,) = diagnose(converged).causes

    first = found.remedy.partition(";")[0]
    converged.by_hand(f"set role postgres; {first}")

    assert found.id == "job_owner_dropped"
    # The scheduler may have ended over it by then, which is another finding.
    assert "job_owner_dropped" not in {finding.id for finding in diagnose(converged).findings}


def test_what_no_text_can_hold_is_the_callers_mistake(converged: Site):
    with pytest.raises(ConfigurationError, match="reading an item: the input is not valid UTF-8"):
        trace(converged.db, working(), STACK, None, "\udcff@example.com")


def test_a_key_or_an_email_in_the_name_of_a_job_does_not_come_out(converged: Site):
    converged.by_hand(
        "insert into cron.job (jobname, schedule, command, nodeport, username) values ('of ada@example.com "
        "sb_secret_abcdefghijklmnopqrstuvwx', '* * * * *', 'select net.http_post(''/functions/v1/bubble_sync'')', 1, "
        "'postgres')"
    )

    found = diagnose(converged).findings

    assert [finding.object for finding in found] == ["job of [email] [secret] (jobid 3)"]
    assert "sb_secret_abc" not in repr(found)
