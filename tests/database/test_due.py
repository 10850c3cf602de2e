"""Every command agrees on whether a job has missed a run, and none counts a due time that no run could have met."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bubble_sync.compare.drift import read_drift
from bubble_sync.health.doctor import doctor
from bubble_sync.health.metrics import FAMILIES, measure
from bubble_sync.health.runs import runs
from bubble_sync.health.status import status
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.records import due_runs
from bubble_sync.records.due_runs import _silent
from bubble_sync.specs import Owner
from tests.fixtures.breaking import working
from tests.fixtures.history import PROCESSOR, RETRY, run
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

LONG_AGO = "update bubble_sync.ledger set recorded_at = now() - interval '1 day'"
JUST_NOW = "update bubble_sync.ledger set recorded_at = now() where object like 'job %'"
OVERDUE = "and no run since is on record"


def said(site: Site) -> dict[str, str]:
    """Give what each command says against the jobs; nothing where it has nothing against them."""
    settings = working()
    measured = measure(site.db, settings, STACK, "1")
    metrics = {family.name: list(family.samples(measured)) for family in FAMILIES}
    found = status(site.db, settings, STACK)
    (line,) = [line for line in verify(site.db, settings, STACK, None).lines if line.id == "runs"]
    specs = desired_state(settings, Owner(STACK))
    _, liveness = site.db.read("reading", lambda conn: read_drift(conn, specs))
    answers = {
        "status": "; ".join((*found.problems, *found.not_known)),
        "runs": "" if runs(site.db, settings, STACK, 10).clean else "not clean",
        "verify": line.evidence if line.status in ("no", "unknown") or "doctor" in line.remedy else "",
        "doctor": "; ".join(
            one.evidence for one in doctor(site.db, settings, STACK).findings if one.id == "job_silent"
        ),
        "metrics": "; ".join(
            f"{name} {labels}"
            for name in ("bubble_sync_job_problem", "bubble_sync_unknown", "bubble_sync_problems")
            for labels, number in metrics[name]
            if number and labels not in (("requests",), ("works",))
        ),
        "drift": liveness.text if liveness and OVERDUE in liveness.text else "",
    }
    return {command: text for command, text in answers.items() if text}


def ran(site: Site, ago: str) -> None:
    """Let both jobs have run so long ago, and the ledger be older."""
    run(site, 1, RETRY, ago)
    run(site, 2, PROCESSOR, ago)
    site.by_hand(LONG_AGO)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was started a few seconds ago."""
    monkeypatch.setattr(due_runs, "_started", lambda about: datetime.now(UTC) - timedelta(seconds=20))


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge the numbers of the runs as a server that keeps its history does."""
    monkeypatch.setattr(due_runs, "_silent", lambda about: _silent({**about, "log_run": "on"}))


def test_a_job_that_misses_its_runs_is_overdue_in_every_command(converged: Site):
    ran(converged, "3 hours")

    found = said(converged)

    assert set(found) == {"status", "runs", "verify", "doctor", "metrics", "drift"}
    assert all(OVERDUE in found[command] for command in ("status", "verify", "drift"))
    assert "its newest run (runid 2) began at" in found["doctor"]


def test_a_job_that_has_never_run_although_it_was_due_is_overdue_too(converged: Site):
    converged.by_hand(LONG_AGO)

    found = said(converged)

    assert set(found) == {"status", "runs", "verify", "doctor", "metrics"}
    assert OVERDUE in found["status"]
    assert "no run is on record" in found["doctor"]


def test_after_a_first_up_nothing_is_wrong_or_unknown_until_a_job_was_due(converged: Site):
    assert said(converged) == {}

    found = status(converged.db, working(), STACK)
    assert all(job.first_due and job.first_due > found.asked_at - timedelta(minutes=1) for job in found.jobs)


@pytest.mark.usefixtures("recording")
def test_a_first_run_with_a_number_and_no_row_yet_is_no_cleared_history(converged: Site):
    """pg_cron commits the number first. A reader may come in between."""
    converged.by_hand("select nextval('cron.runid_seq')")

    assert said(converged) == {}


def test_after_a_pause_nothing_is_wrong_until_a_job_is_due_again(converged: Site):
    ran(converged, "3 hours")
    converged.by_hand(JUST_NOW)

    assert said(converged) == {}
    assert all(job.first_due and job.run == "succeeded" for job in status(converged.db, working(), STACK).jobs)


@pytest.mark.usefixtures("started")
def test_a_server_that_was_down_owes_no_run_of_that_time(converged: Site):
    ran(converged, "3 hours")

    assert said(converged) == {}


def test_a_history_that_begins_later_owes_no_run_of_before(converged: Site):
    ran(converged, "20 s")
    converged.by_hand("delete from cron.job_run_details where runid = 1")

    assert said(converged) == {}


@pytest.mark.usefixtures("recording")
def test_of_a_history_that_was_cleared_it_is_not_known_whether_a_job_runs(converged: Site):
    ran(converged, "3 hours")
    converged.by_hand("select setval('cron.runid_seq', 2)", "delete from cron.job_run_details")

    found = said(converged)

    assert "doctor" not in found
    assert found["status"].count("the history was cleared") == 2


def test_of_a_server_that_keeps_no_history_it_is_not_known_whether_a_job_runs(
    converged: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(due_runs, "_silent", lambda about: due_runs._SWITCHED_OFF)
    ran(converged, "3 hours")

    found = said(converged)

    assert "doctor" not in found
    assert found["status"].count("cron.log_run is off") == 2


def test_a_run_under_way_is_no_missed_one(converged: Site):
    ran(converged, "3 minutes")
    run(converged, 3, PROCESSOR, "5 s", "running")
    run(converged, 4, RETRY, "5 s", "running")

    assert said(converged) == {}
