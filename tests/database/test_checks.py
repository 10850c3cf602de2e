"""Every check of the doctor: quiet about a set-up that works, heard when it is broken, unknown to who may not look."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from bubble_sync.cli import doctor
from bubble_sync.cli.metrics import text_of
from bubble_sync.health.doctor import Finding, Level, explained
from bubble_sync.health.metrics import measure
from bubble_sync.sql_loader import checks
from tests.fixtures.breaking import Breakage, diagnose, exposure, installed, running, set_up, working
from tests.fixtures.site import Site
from tests.fixtures.specs import OTHER_REF, REF, STACK

PARTS = (exposure.BREAKAGES, installed.BREAKAGES, running.BREAKAGES)
BREAKAGES = {check: breakage for part in PARTS for check, breakage in part.items()}


def found(check: str, level: Level = "error", about: str = "object") -> Finding:
    return Finding(check, "title", level, about, "evidence", "remedy")


def test_every_check_has_a_breakage_and_none_has_two():
    assert sorted(BREAKAGES) == [check.id for check in checks()]
    assert sum(map(len, PARTS)) == len(BREAKAGES)


def test_every_check_is_explained_and_follows_from_others_that_exist():
    known = {check.id for check in checks()}

    for check in checks():
        assert check.title[0].isupper()
        assert len(check.meaning) > 40, check.id
        assert set(check.follows) < known - {check.id}


def test_a_set_up_that_works_has_no_finding(converged: Site):
    diagnosis = diagnose(converged)

    assert (diagnosis.findings, dict(diagnosis.unknown), diagnosis.clean) == ((), {}, True)
    assert diagnosis.checked == sum(check.only not in ("several_requests", "alerts") for check in checks())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("check", BREAKAGES)
def test_a_check_is_quiet_until_something_is_broken(site: Site, check: str):
    breakage: Breakage = BREAKAGES[check]
    set_up(site, breakage.settings)
    assert not any(finding.id == check for finding in diagnose(site, breakage.settings).findings)

    try:
        site.by_hand(*breakage.by_hand)
        diagnosis = diagnose(site, breakage.settings_after)
    finally:
        if breakage.mending:
            site.by_hand(*breakage.mending)

    found = [finding for finding in diagnosis.findings if finding.id == check]
    # It may end with a moment of today.
    assert [one for one in found if one.evidence.startswith(breakage.evidence)], found
    assert all(finding.level in ("error", "warning", "info") for finding in found)
    assert all(finding.object and finding.remedy for finding in found)
    if check in installed.BREAKAGES:
        assert {finding.id for finding in diagnosis.causes} == {breakage.caused_by or check}


def test_who_may_not_look_is_told_so(converged: Site):
    other = converged.as_role("onlooker")

    with closing(other.db):
        diagnosis = diagnose(other)

    assert not diagnosis.clean
    # pg_net lets everybody read its tables.
    asked = [check for check in checks() if check.only not in ("several_requests", "alerts")]
    hidden = {check.id for check in asked if any(not table.startswith("net.") for table in check.needs)}
    assert hidden <= set(diagnosis.unknown)


def test_a_finding_that_another_one_explains_comes_after_it(converged: Site):
    symptom = next(check for check in checks() if check.follows)

    assert [(one.id, one.follows) for one in explained([found(symptom.id), found(symptom.follows[0])])] == [
        (symptom.follows[0], ()), (symptom.id, symptom.follows[:1]),
    ]  # fmt: skip


RELATIONS = [(check.id, cause) for check in checks() for cause in check.follows]


@pytest.mark.parametrize("level", ["error", "warning"])
@pytest.mark.parametrize(("symptom", "cause"), RELATIONS)
def test_a_cause_has_at_least_the_level_of_what_follows_from_it(symptom: str, cause: str, level: Level):
    first, _ = explained([found(symptom, level, "job a"), found(cause, "warning", "function b")])

    assert (first.id, first.follows, first.level) == (cause, (), level)


def test_a_cause_of_causes_has_the_level_of_the_last_one():
    chain = [found("request_lost", "error", "requests of a"), found("request_unanswered", "warning", "requests of a")]

    first, *others = explained([*chain, found("net_worker_down", "warning", "extension pg_net")])

    assert (first.id, first.level) == ("net_worker_down", "error")
    assert [(one.id, one.level) for one in others] == [("request_lost", "error"), ("request_unanswered", "error")]


def test_what_is_merely_told_explains_no_error_and_becomes_none():
    told, other = found("job_paused", "info", "job a"), found("job_inactive", "warning", "job b")

    levels = {one.id: one.level for one in explained([found("items_waiting", "error", "items of q"), told, other])}

    assert levels == {"job_paused": "info", "job_inactive": "error", "items_waiting": "error"}


def test_nothing_explains_itself_by_way_of_others():
    causes = {check.id: set(check.follows) for check in checks()}
    while causes:
        last = [check for check, of in causes.items() if not of & set(causes)]
        assert last, f"a circle among {sorted(causes)}"
        for check in last:
            del causes[check]


@pytest.mark.parametrize(
    ("changed", "evidence"),
    [
        (
            f"stack = 'prod', project_ref = '{OTHER_REF}'",
            f"project '{OTHER_REF}', and this is '{REF}'; and the stack 'prod',",
        ),
        (f"project_ref = '{OTHER_REF}'", f"it names the project '{OTHER_REF}', and this is '{REF}'"),
        ("stack = 'it''s'", "it names the stack 'it''s', and this is 'test'"),
    ],
)
def test_a_ledger_of_elsewhere_has_one_remedy_that_accepts_it(converged: Site, changed: str, evidence: str):
    converged.by_hand(
        f"update bubble_sync.ledger set project_ref = '{REF}'", f"update bubble_sync.ledger set {changed}"
    )

    (foreign,) = (one for one in diagnose(converged).findings if one.id == "ledger_foreign")
    (statement,) = re.findall(r"accept it once: (update .*;) and run", foreign.remedy)
    converged.by_hand(statement)

    assert evidence in foreign.evidence
    assert diagnose(converged).findings == ()


def test_a_function_that_fails_every_run_is_an_error_of_the_function(converged: Site):
    converged.by_hand(
        "create or replace function public.invoke_bubble_sync_processor() returns void language plpgsql "
        "set search_path = '' as $$ begin raise exception 'broken by hand'; end $$",
        running.runs(running.run(1, "failed", "ERROR:  broken by hand")),
        running.item(ago="10 minutes"),
    )
    diagnosis = diagnose(converged)

    assert [(one.id, one.level) for one in diagnosis.causes] == [("function_differs", "error")]
    assert {one.id for one in diagnosis.findings} == {"function_differs", "runs_failing", "items_waiting"}
    assert doctor._summary(diagnosis).endswith(" checks: 1 error, 2 following")
    assert text_of(measure(converged.db, working(), STACK, "1")).count('level="error"') == 1
