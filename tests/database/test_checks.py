"""Every check of the doctor: quiet about a set-up that works, heard when it is broken, unknown to who may not look."""

from __future__ import annotations

from contextlib import closing

import pytest

from bubble_sync.questions.doctor import Finding, explained
from bubble_sync.statements import checks
from tests.fixtures.breaking import Breakage, diagnose, exposure, installed, running, set_up
from tests.fixtures.site import Site

PARTS = (exposure.BREAKAGES, installed.BREAKAGES, running.BREAKAGES)
BREAKAGES = {check: breakage for part in PARTS for check, breakage in part.items()}


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
    found = diagnose(converged)

    assert (found.findings, dict(found.unknown), found.clean) == ((), {}, True)
    assert found.checked == len(checks())


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
        found = diagnose(other)

    assert not found.clean
    # pg_net lets everybody read its tables.
    hidden = {check.id for check in checks() if any(not table.startswith("net.") for table in check.needs)}
    assert hidden <= set(found.unknown)


def test_a_finding_that_another_one_explains_comes_after_it(converged: Site):
    symptom = next((check for check in checks() if check.follows), None)
    if symptom is None:
        return
    findings = [
        Finding(check, "title", "error", "object", "evidence", "remedy") for check in (symptom.id, symptom.follows[0])
    ]

    assert [(finding.id, finding.follows) for finding in explained(findings)] == [
        (symptom.follows[0], ()), (symptom.id, symptom.follows[:1]),
    ]  # fmt: skip
