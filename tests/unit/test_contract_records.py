"""The records of the real extensions, and the page that lists what differs from them."""

from __future__ import annotations

import datetime

import pytest

from tests.contract.judge import RECORDED, Difference, Judge, Record, apart, cell, listed

RELEASES = {
    "pg_net": ["0.20.4"],
    "supabase_vault": ["0.3.1"],
    "pg_cron": ["1.4.2", "1.6.7", "1.4.2-background-workers"],
}
EVERY = [(extension, release) for extension, releases in RELEASES.items() for release in releases]


@pytest.mark.parametrize(("extension", "release"), EVERY)
def test_a_record_says_what_was_recorded_on_what_and_when(extension: str, release: str):
    record = Record.read(extension, release)

    assert (record.extension, record.release) == (extension, release)
    assert record.postgresql.startswith("15.")
    assert datetime.date.fromisoformat(record.date)
    assert len(record.probes) >= 60


def test_every_record_is_known():
    assert {path.stem for path in RECORDED.iterdir()} == {f"{name}-{release}" for name, release in EVERY}


def test_a_listed_difference_is_of_a_recorded_probe():
    for probe in listed():
        extension, _, name = probe.partition(" ")
        assert name in Record.read(extension, RELEASES[extension][0]).probes


def test_the_page_lists_what_differs_between_releases_of_pg_cron():
    first, *others = (Record.read("pg_cron", release) for release in RELEASES["pg_cron"])
    rows = listed("pg_cron releases")
    found = {}
    for other in others:
        for probe in sorted({*first.probes, *other.probes}):
            one, two = first.probes.get(probe), other.probes.get(probe)
            # Long jobs are not probed in background workers.
            if one != two and two is not None:
                name = f"{other.release} {probe}"
                means = rows[name].reason if name in rows else "..."
                found[name] = Difference(name, *map(cell, apart(one, two)), means)

    assert "\n".join(one.row for one in rows.values()) == "\n".join(one.row for one in found.values())


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch):
    """A judge of an emulator whose extension showed three things."""
    probes = {"same": 1, "known": {"a": 1, "b": 2}, "new": [1, 2]}
    known = Difference("pg_net known", cell({"b": 2}), cell({"b": 3}), "because")
    monkeypatch.setattr(Record, "read", classmethod(lambda cls, *names: Record(*names, probes=probes)))
    monkeypatch.setattr("tests.contract.judge.listed", lambda: {known.probe: known})
    return Judge("pg_net", "0.20.4-standin")


@pytest.mark.parametrize(
    ("probe", "seen", "outcome"),
    [
        ("same", 1, "same"),
        ("known", {"a": 1, "b": 3}, "listed"),
        ("known", {"a": 1, "b": 4}, "failed"),
        ("known", {"a": 1, "b": 2}, "failed"),
        ("new", [1, 3], "failed"),
        ("not recorded", 1, "failed"),
    ],
)
def test_a_probe_is_judged_by_the_record_and_the_list(judge: Judge, probe: str, seen: object, outcome: str):
    assert judge.verdict(probe, seen)[0] == outcome


def test_a_failure_prints_the_row_that_would_list_it(judge: Judge):
    assert "| pg_net new | `[2]` | `[3]` | ... |" in judge.verdict("new", (1, 3))[1]
