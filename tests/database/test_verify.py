"""What `verify` answers: each line of the checklist ok, not, unknown or not proven; only ok is fine."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from bubble_sync.config.settings import read_settings
from bubble_sync.health.verify import TITLES, ChecklistLine, verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, PrerequisitesSpec, VaultSecretSpec
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, person, run
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, config, jwt

SETTINGS = read_settings(config())
OBJECTS = ("prerequisites", "extensions", "secrets", "functions", "jobs")
AS_OWNER = "connect as the role that `pulumi up` uses"


def ask(site: Site, **changes: str) -> dict[str, ChecklistLine]:
    """Give the lines by their ids."""
    found = verify(site.db, read_settings(config(**changes)), STACK, REF)
    assert [line.id for line in found.lines] == list(TITLES)
    assert found.clean == all(line.status == "ok" for line in found.lines)
    assert all(line.evidence and bool(line.remedy) == (line.status != "ok") for line in found.lines)
    return {line.id: line for line in found.lines}


def not_ok(site: Site, **changes: str) -> dict[str, str]:
    return {name: line.status for name, line in ask(site, **changes).items() if line.status != "ok"}


def said(line: ChecklistLine) -> tuple[str, str, str]:
    return line.status, line.evidence, line.remedy


@pytest.fixture
def converged(site: Site) -> Site:
    """A project as `up` leaves it, at once."""
    for spec in desired_state(SETTINGS, Owner(STACK, REF)):
        if not isinstance(spec, PrerequisitesSpec):
            site.converge(spec)
    return site


@pytest.fixture
def working(converged: Site) -> Site:
    """Its jobs have run, and a sign-up was synced."""
    run(converged, 1, RETRY, "40 s")
    run(converged, 2, PROCESSOR, "30 s")
    person(converged, "r1", "ada@example.com")
    item(converged, "60 s", status="completed", processed="29 s")
    dispatch(converged, 7, "30 s", "ok", runid=2, status_code=200, processed=1, failed=0)
    return converged


def test_a_sync_that_works_is_ok_with_evidence_in_every_line(working: Site):
    lines = ask(working)

    assert not_ok(working) == {}
    assert lines["prerequisites"].evidence == "public.sync_queue, the ledger of stack test"
    assert lines["extensions"].evidence.startswith("pg_cron 1.")
    assert lines["secrets"].evidence == "supabase_url, service_role_key"
    assert "public.invoke_bubble_sync_retry" in lines["functions"].evidence
    assert lines["jobs"].evidence == (
        "bubble-sync-processor (jobid 1, * * * * *), bubble-sync-retry (jobid 2, */5 * * * *)"
    )
    assert lines["runs"].evidence.startswith("bubble-sync-processor succeeded at 20")
    assert lines["endpoint"].evidence.startswith("request 7 of bubble_sync_processor at 20")
    assert lines["endpoint"].evidence.endswith(" UTC: ok (HTTP 200, 1 processed, 0 failed)")
    assert lines["queue"].evidence == "0 waiting, 0 to be retried; last hour: 1 enqueued, 1 completed"
    assert lines["sign_up"].evidence.endswith(" is completed after 31.0 s")
    assert lines["bubble_ids"].evidence == ("user user-r1, host host-r1, guest guest-r1")


def test_what_up_would_refuse_is_named_without_what_up_would_say_of_itself(working: Site):
    working.by_hand("alter table public.sync_queue drop column error_message, drop column retry_count")

    line = ask(working)["prerequisites"]

    lacking = "column public.sync_queue.error_message, column public.sync_queue.retry_count"
    assert said(line) == ("no", f"the database lacks requirements of the sync: {lacking}", "bubble-sync diff")


def test_right_after_up_what_nobody_has_tried_is_not_proven(converged: Site):
    assert not_ok(converged) == dict.fromkeys(("runs", "endpoint", "sign_up", "bubble_ids"), "not proven")


class TestObjects:
    @pytest.mark.parametrize(
        ("line", "by_hand", "evidence", "remedy"),
        [
            ("prerequisites", "alter table public.sync_queue drop column next_retry_at",
             "column public.sync_queue.next_retry_at", "bubble-sync diff"),
            ("extensions", "drop extension pg_net cascade", "extension pg_net is not there", "pulumi up"),
            ("secrets", "delete from vault.secrets where name = 'supabase_url'",
             "secret supabase_url is not there", "pulumi up"),
            ("functions", "drop function public.invoke_bubble_sync_retry()",
             "function public.invoke_bubble_sync_retry is not there", "pulumi up"),
            ("functions", "alter function bubble_sync.settle() volatile security definer",
             "function bubble_sync.settle is not as wanted (security)", "pulumi up"),
            ("jobs", "update cron.job set active = false", f"job {RETRY} is not as wanted (active)", "pulumi up"),
            ("jobs", "delete from bubble_sync.ledger where object like 'job%'", "(not in the ledger)", "pulumi up"),
        ],
    )  # fmt: skip
    def test_what_is_not_as_wanted_is_said(self, working: Site, line: str, by_hand: str, evidence: str, remedy: str):
        working.by_hand(by_hand)
        found = ask(working)[line]

        assert (found.status, found.remedy) == ("no", remedy)
        assert evidence in found.evidence

    def test_a_job_that_is_switched_off_on_purpose_is_no_sync_that_works(self, working: Site):
        working.by_hand(f"update cron.job set active = false where jobname = '{RETRY}'")

        assert said(ask(working, retry='{"active": false}')["jobs"]) == (
            "no", f"job {RETRY} is not active, as configured",
            "bubble-sync resume --job retry",
        )  # fmt: skip

    def test_no_remedy_of_a_stack_that_was_never_up_is_one_that_cannot_work(self, site: Site):
        site.by_hand("drop table public.sync_queue cascade")
        remedies = {name: line.remedy for name, line in ask(site).items()}

        assert (remedies["runs"], remedies["endpoint"]) == ("pulumi up", "pulumi up")
        assert {remedies[name] for name in ("queue", "sign_up", "bubble_ids")} == {"bubble-sync diff"}

    def test_without_a_stack_nothing_is_there(self, site: Site):
        assert {name: line.status for name, line in ask(site).items()} == {
            **dict.fromkeys(OBJECTS, "no"), "runs": "unknown", "endpoint": "unknown", "queue": "ok",
            "sign_up": "not proven", "bubble_ids": "not proven",
        }  # fmt: skip


class TestRuns:
    def test_a_job_that_has_yet_to_be_due_is_not_missed(self, converged: Site):
        run(converged, 2, PROCESSOR, "1 s")
        converged.by_hand(
            "update bubble_sync.ledger set recorded_at = date_trunc('minute', now())",
            f"update cron.job set schedule = '0 0 1 1 *' where jobname = '{RETRY}'",
        )
        found = ask(converged, retry='{"schedule": "0 0 1 1 *"}')["runs"]

        assert found.status == "ok"
        assert f"{RETRY} is first due at " in found.evidence

    def test_when_no_job_was_due_yet_nothing_is_proven(self, converged: Site):
        found = ask(converged)["runs"]

        assert (found.status, found.remedy) == ("not proven", "`bubble-sync verify`, when a job was due")
        assert f"{PROCESSOR} is first due at " in found.evidence

    def test_a_run_that_failed_or_is_missing_is_no(self, working: Site):
        run(working, 3, PROCESSOR, "1 s", "failed")
        assert said(ask(working)["runs"]) == (
            "no", f"{PROCESSOR} failed in its last run (runid 3)", "bubble-sync doctor",
        )  # fmt: skip

        working.by_hand(
            "update cron.job_run_details set start_time = now() - interval '1 day', status = 'succeeded'",
            "update bubble_sync.ledger set recorded_at = now() - interval '1 day'",
        )
        assert not_ok(working)["runs"] == "no"


class TestEndpoint:
    @pytest.mark.parametrize(
        ("verdict", "standing", "remedy"),
        [
            ("partial", "ok", ""), ("rejected", "no", "bubble-sync doctor"),
            ("answered", "not proven", "bubble-sync run-now --wait"),
            ("refused by its body", "no", "bubble-sync doctor"),
            ("not the function''s answer", "no", "bubble-sync doctor"),
            ("timed out", "unknown", "bubble-sync run-now --wait"), ("lost", "unknown", "bubble-sync run-now --wait"),
        ],
    )  # fmt: skip
    def test_the_last_answer_counts(self, working: Site, verdict: str, standing: str, remedy: str):
        dispatch(working, 8, "5 s", verdict)
        found = ask(working)["endpoint"]

        assert (found.status, found.remedy) == (standing, remedy)
        assert found.evidence.startswith("request 8 ")

    @pytest.mark.parametrize(
        ("columns", "standing", "evidence"),
        [
            ("status_code, timed_out, content) values (8, 200, false, '{\"success\": true}'", "ok", "ok (HTTP 200)"),
            ("status_code, content) values (8, 200, '{\"processed\": 2}'", "ok", "ok (HTTP 200, 2 processed)"),
            ("status_code) values (8, 204", "not proven", "answered (HTTP 204)"),
            (
                "status_code, content) values (8, 200, '{\"success\": false}'",
                "no",
                'refused by its body (HTTP 200, {"success": false})',
            ),
            (
                "status_code, content) values (8, 200, '<html>\nada@example.com'",
                "no",
                "not the function's answer (HTTP 200, <html> [email])",
            ),
            ("status_code, timed_out) values (8, 401, false", "no", "rejected (HTTP 401)"),
            ("timed_out, error_msg) values (8, true, 'Timeout'", "unknown", "timed out (Timeout)"),
        ],
    )
    def test_an_answer_that_no_tick_has_noted_yet_counts_too(
        self, working: Site, columns: str, standing: str, evidence: str
    ):
        dispatch(working, 8, "5 s", None)
        assert ask(working)["endpoint"].evidence.startswith("request 7 ")

        working.by_hand(f"insert into net._http_response (id, {columns})")
        found = ask(working)["endpoint"]
        assert (found.status, found.evidence.rpartition(" UTC: ")[2]) == (standing, evidence)

    def test_a_request_without_an_answer_proves_nothing(self, converged: Site):
        dispatch(converged, 8, "5 s", None)

        assert said(ask(converged)["endpoint"]) == (
            "not proven", "no answer is on record, and 1 outstanding", "bubble-sync run-now --wait",
        )  # fmt: skip

    def test_without_a_log_nobody_knows(self, working: Site):
        working.by_hand("drop table bubble_sync.dispatches")

        assert said(ask(working, dispatchLog="false")["endpoint"]) == (
            "unknown", "there is no table bubble_sync.dispatches (config dispatchLog)",
            "pulumi config set bubble-sync:dispatchLog true && pulumi up",
        )  # fmt: skip


class TestQueue:
    @pytest.mark.parametrize(
        ("columns", "evidence", "remedy"),
        [
            ({}, "an item has waited for more than 120 s", "bubble-sync doctor"),
            ({"status": "processing"}, "1 stalled in processing", "bubble-sync release-stalled"),
            (
                {"status": "failed", "retry_count": 3},
                "1 dead: failed, with no attempt left",
                "bubble-sync requeue --dead",
            ),
            ({"operation": "DELETE"}, "1 pending with an operation that no job counts", "bubble-sync doctor"),
        ],
    )
    def test_what_stays_in_it_is_no(self, working: Site, columns: dict[str, object], evidence: str, remedy: str):
        item(working, "1 hour", record_id="r2", **{"operation": "INSERT", **columns})

        assert said(ask(working)["queue"]) == ("no", evidence, remedy)
        assert not_ok(working) == {"queue": "no"}


class TestSignUp:
    def test_one_that_waits_is_not_proven_until_it_is_late(self, working: Site):
        item(working, "20 s", record_id="r2")
        assert not_ok(working) == {"sign_up": "not proven", "bubble_ids": "unknown"}

        working.by_hand("update public.sync_queue set created_at = now() - interval '121 s' where record_id = 'r2'",
                        "delete from public.sync_queue where record_id = 'r1'")  # fmt: skip
        found = ask(working)["sign_up"]
        assert (found.status, found.remedy) == ("no", "bubble-sync trace --latest")
        assert found.evidence.endswith(" is pending; the target is 75 s, the limit 120 s")

    def test_one_that_was_late_or_has_an_error_is_no(self, working: Site):
        working.by_hand("update public.sync_queue set created_at = now() - interval '10 min'")
        assert not_ok(working) == {"sign_up": "no"}

        working.by_hand("update public.sync_queue set created_at = now() - interval '1 min', "
                        "error_message = 'ada@example.com is taken'")  # fmt: skip
        assert ask(working)["sign_up"].evidence.endswith("; error: [email] is taken")

        working.by_hand("update public.sync_queue set status = 'failed', retry_count = 1")
        assert not_ok(working) == {"sign_up": "no"}

    def test_its_bubble_ids_are_wanted(self, working: Site):
        working.by_hand("update public.account_host set bubble_id = null")
        assert said(ask(working)["bubble_ids"]) == (
            "no", "empty: host_bubble_id", "bubble-sync trace --latest",
        )  # fmt: skip

        working.by_hand("drop table public.account_host cascade")
        assert ask(working)["bubble_ids"].status == "unknown"


def test_what_a_role_may_not_see_is_unknown_and_never_fine(working: Site):
    other = working.as_role("watcher")
    with closing(other.db):
        lines = ask(other)

    assert {line.status for line in lines.values()} == {"unknown"}
    assert lines["jobs"].remedy == lines["runs"].remedy == AS_OWNER
    assert "no bubble_sync.observe(text)" in lines["jobs"].evidence


def test_the_monitor_role_sees_the_objects_and_says_unknown_of_the_rest(working: Site):
    changes = {"access": '{"monitorRole": "watcher"}', "monitorPassword": "p" * 24}
    settings = read_settings(config(**changes))
    monitor = replace(working.as_role("watcher", "grant usage on schema bubble_sync to watcher"))
    for spec in desired_state(settings, Owner(STACK, REF)):
        if not isinstance(spec, PrerequisitesSpec):
            working.converge(spec)
    working.by_hand("grant execute on function bubble_sync.observe(text) to watcher")

    with closing(monitor.db):
        assert not_ok(monitor, **changes) == dict.fromkeys(
            ("runs", "endpoint", "queue", "sign_up", "bubble_ids"), "unknown"
        )


def test_a_key_past_its_end_is_refuted_before_a_request_is(working: Site):
    key = jwt(exp=1500000000)
    for spec in desired_state(read_settings(config(serviceRoleKey=key)), Owner(STACK, REF)):
        if isinstance(spec, VaultSecretSpec):
            working.converge(spec)

    assert said(ask(working, serviceRoleKey=key)["secrets"]) == (
        "no", "the key expired on 2017-07-14: the endpoint rejects an expired key", "bubble-sync key rotate"
    )  # fmt: skip
