"""The job that deletes old runs is compared, scripted and removed like every other; the vendor's own stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from bubble_sync.compare.diff import State
from bubble_sync.compare.drift import DriftReport, StackStatus
from bubble_sync.compare.sql_script import back, forward
from bubble_sync.config.settings import StackSettings, read_settings
from bubble_sync.health.doctor import Finding
from bubble_sync.health.status import status
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, Spec
from tests.fixtures.adoption import WANTED, converge_all, drift_of, look, monitor_of, states
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.breaking.running import runs
from tests.fixtures.mutations import Mutation, of_history
from tests.fixtures.site import Site, knows_seconds
from tests.fixtures.specs import REF, STACK, config

MONITOR = "bubble_monitor"
KEEP = json.dumps({"keepDays": 7})
ACCESS = {"access": json.dumps({"monitorRole": MONITOR}), "monitorPassword": "m" * 16}
KEPT, WATCHED = (desired_state(read_settings(config(history=KEEP, **more)), Owner(STACK, REF)) for more in ({}, ACCESS))
JOB, FUNCTION = "job bubble-sync-history", "function bubble_sync.delete_old_runs"
VENDOR = "select cron.schedule('delete-job-run-details', '0 12 * * *', 'delete from cron.job_run_details where false')"
OLD_RUN = runs("(1, 'succeeded', '1 row', timestamptz '2026-01-02', timestamptz '2026-01-02')")
LEFT = """
    select 'function ' || proname as object from pg_proc where proname = 'delete_old_runs'
    union all select 'job ' || jobname from cron.job where jobname = 'bubble-sync-history'
    union all select object from bubble_sync.ledger where object ~ 'history|old_runs'
"""


def ask(site: Site, wanted: Sequence[Spec] = KEPT) -> DriftReport:
    return drift_of(site, wanted, {})


@pytest.fixture
def keeping(site: Site) -> Site:
    """A stack that is up, with `history.keepDays`."""
    converge_all(site, KEPT)
    return site


@pytest.fixture
def monitor(site: Site) -> Iterator[Site]:
    """The monitor role's connection to such a stack."""
    with monitor_of(site, WATCHED, MONITOR) as role:
        yield role


def growing(site: Site, settings: StackSettings) -> list[Finding]:
    return [one for one in diagnose(site, settings).findings if one.id == "run_history_growing"]


def test_a_stack_that_keeps_days_is_clean(keeping: Site):
    assert look(keeping, KEPT)[0].clean
    assert look(keeping, KEPT)[0].unmanaged == ()
    assert (ask(keeping).status, ask(keeping).findings) == (StackStatus.CLEAN, ())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("mutations", list(of_history()), ids=lambda some: some[0].field)
def test_what_a_hand_changes_is_named_alone_by_owner_and_monitor_and_repaired(
    monitor: Site, site: Site, mutations: list[Mutation]
):
    for mutation in mutations:
        site.by_hand(mutation.sql)
    expected = {(one.object, one.field) for one in mutations if one.field}

    for reader in (site, monitor):
        assert {(one.object_name, one.change.field) for one in ask(reader, WATCHED).findings} == expected

    converge_all(site, WATCHED)
    assert ask(monitor, WATCHED).findings == ()


@pytest.mark.parametrize(
    ("processor", "history", "evidence"),
    [
        ('{"schedule": "5 seconds"}', None, "no active job clears them; bubble-sync-processor adds 17280 a day"),
        ('{"schedule": "5 seconds", "active": false}', None, None),
        ('{"schedule": "5 seconds"}', '{"keepDays": 7}', None),
        ('{"schedule": "* * * * *"}', None, None),
    ],
    ids=["unbounded", "paused", "bounded", "a minute"],
)
def test_a_schedule_in_seconds_needs_a_bound_from_its_first_day(
    site: Site, processor: str, history: str | None, evidence: str | None
):
    if "seconds" in processor and not knows_seconds(site):
        pytest.skip("this pg_cron knows no seconds: POSTGRES=17 has a newer one")
    settings = working(processor=processor, history=history)
    set_up(site, settings)
    found = growing(site, settings)

    assert [one.evidence.partition(", and ")[2] for one in found] == [evidence] * bool(evidence)
    assert all("history.keepDays 7, then pulumi up" in one.remedy for one in found)


def test_the_days_of_both_histories_can_be_accepted_and_the_schedule_cannot(keeping: Site):
    keeping.by_hand(
        "do $hand$ begin execute (select replace(pg_get_functiondef(oid), 'keep_days constant integer := 7', "
        "'keep_days constant integer := 40') from pg_proc where proname = 'delete_old_runs'); end $hand$",
        "do $hand$ begin execute (select replace(pg_get_functiondef(oid), '30 days', '90 days') from pg_proc "
        "where oid = 'bubble_sync.record'::regproc); end $hand$",
        "update cron.job set schedule = '0 * * * *' where jobname = 'bubble-sync-history'",
    )

    assert {one.object_name: str(one.accept) for one in ask(keeping).findings} == {
        FUNCTION: "pulumi config set --path bubble-sync:history.keepDays 40 --stack test",
        JOB: "cannot be accepted: no setting wants it",
        "function bubble_sync.record": "pulumi config set --path bubble-sync:history.dispatchDays 90 --stack test",
    }


def test_the_script_makes_them_and_the_way_back_takes_them(site: Site):
    converge_all(site)
    comparison, snapshot = look(site, KEPT)
    undo = back(comparison, snapshot)
    assert {name for name, state in states(comparison).items() if state == State.CREATE} == {JOB, FUNCTION}

    site.by_hand("set role postgres;" + forward(comparison))
    assert look(site, KEPT)[0].clean

    for _ in range(2):
        site.by_hand("set role postgres;" + undo)
        assert site.by_hand(LEFT) == []
        assert look(site)[0].clean


def test_without_the_setting_they_go_and_nothing_else(keeping: Site):
    kept = {spec.object_name for spec in WANTED}

    reasons = [keeping.remove(spec) for spec in reversed(KEPT) if spec.object_name not in kept]

    assert reasons == [None, None]
    assert keeping.by_hand(LEFT) == []
    assert changed_of(keeping, WANTED) == ["ledger"]


def changed_of(site: Site, wanted: Sequence[Spec]) -> list[str]:
    """Name what `up` would change; the ledger holds the settings."""
    return [name for name, state in states(look(site, wanted)[0]).items() if state != State.EQUAL]


def test_fewer_days_for_the_log_change_one_function_and_the_default_none(keeping: Site):
    fewer = desired_state(
        read_settings(config(history=json.dumps({"keepDays": 7, "dispatchDays": 5}))), Owner(STACK, REF)
    )

    assert changed_of(keeping, fewer) == ["ledger", "function bubble_sync.record"]
    assert changed_of(keeping, WANTED) == ["ledger"]


def test_the_vendors_clean_up_is_listed_next_to_ours_and_stays(keeping: Site):
    keeping.by_hand("set role postgres", VENDOR)
    before = keeping.by_hand("select * from cron.job where jobname = 'delete-job-run-details'")

    comparison, _ = look(keeping, KEPT)
    (listed,) = comparison.unmanaged
    assert (comparison.clean, listed.what) == (True, f"job delete-job-run-details (jobid {before[0]['jobid']})")
    assert listed.sql == f"select cron.unschedule({before[0]['jobid']});"
    assert look(keeping)[0].unmanaged == ()

    converge_all(keeping, KEPT)
    for spec in reversed(KEPT):
        keeping.remove(spec)
    assert keeping.by_hand("select * from cron.job where jobname = 'delete-job-run-details'") == before


def test_a_missing_or_inactive_job_is_a_problem_of_status_verify_and_doctor(site: Site):
    settings = working(history=KEEP)
    set_up(site, settings)
    site.by_hand("update cron.job set active = false where jobname = 'bubble-sync-history'")
    assert status(site.db, settings, STACK).problems == ("job bubble-sync-history is not active",)
    assert [(one.id, one.object) for one in diagnose(site, settings).findings] == [("job_inactive", JOB)]

    site.by_hand("delete from cron.job where jobname = 'bubble-sync-history'")
    assert status(site.db, settings, STACK).problems == ("job bubble-sync-history is not there",)
    assert [(one.id, one.object) for one in diagnose(site, settings).findings] == [("job_missing", JOB)]
    (line,) = [one for one in verify(site.db, settings, STACK, REF).lines if one.id == "jobs"]
    assert (line.status.value, JOB in line.evidence) == ("no", True)


def test_the_doctor_names_the_setting_and_has_no_more_to_say_once_it_is_there(site: Site):
    set_up(site, working())
    site.by_hand(OLD_RUN)
    (found,) = growing(site, working())
    assert found.remedy.startswith("pulumi config set --path bubble-sync:history.keepDays 30, then pulumi up; or ")

    set_up(site, working(history=KEEP))
    assert growing(site, working(history=KEEP)) == []

    site.by_hand("update cron.job set active = false where jobname = 'bubble-sync-history'")
    assert len(growing(site, working(history=KEEP))) == 1


def test_with_other_jobs_only_a_clean_up_of_all_jobs_is_enough_for_the_doctor(site: Site):
    own, every = (working(history=json.dumps({"keepDays": 7, "ofAllJobs": all_jobs})) for all_jobs in (False, True))
    set_up(site, working())
    site.by_hand(OLD_RUN, "select cron.schedule('mine', '0 3 * * *', 'select 1')")
    (before,) = growing(site, working())
    assert "history.ofAllJobs true" in before.remedy

    set_up(site, own)
    (found,) = growing(site, own)
    assert found.evidence.endswith("bubble-sync-history deletes the runs of this stack's jobs only")
    assert found.remedy.startswith("pulumi config set --path bubble-sync:history.ofAllJobs true, then pulumi up; or ")

    set_up(site, every)
    assert growing(site, every) == []


def test_the_vendors_clean_up_is_enough_for_the_doctor(site: Site):
    set_up(site, working())
    site.by_hand(OLD_RUN, VENDOR)

    assert growing(site, working()) == []
