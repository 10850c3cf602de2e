"""What a terminal of 80 columns and a pipe show of a diagnosis."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bubble_sync.cli import doctor
from bubble_sync.health.doctor import Diagnosis, Finding, explained

LONG = "the key of a project that has been copied from another one and still has the secrets of the one it came from"
CAUSE = Finding("cause", "Title of it", "error", "secret a", LONG, "Run pulumi up.")
SYMPTOM = Finding("symptom", "Other title", "warning", "secret a", "it differs", "Never shown.", ("cause",))
ASKED_AT = datetime(2026, 11, 22, 4, 5, 6, tzinfo=UTC)


def shown(capsys: pytest.CaptureFixture[str], *findings: Finding, **unknown: str) -> list[str]:
    doctor.DIAGNOSIS.print_one(Diagnosis("local", ASKED_AT, findings, unknown, 38))
    return capsys.readouterr().out.splitlines()


def test_a_pipe_gets_causes_first_then_what_follows_then_what_is_not_known(capsys: pytest.CaptureFixture[str]):
    assert shown(capsys, CAUSE, SYMPTOM, one="it is not there", two="it is not there") == [
        "stack local, 11-22 04:05:06 UTC",
        "",
        "error: Title of it [cause]",
        f"  secret a: {LONG}",
        "  do: Run pulumi up.",
        "",
        "follows from cause",
        "  symptom: secret a: it differs",
        "",
        "unknown: it is not there",
        "  not checked: one, two",
        "",
        "38 checks: 1 error, 1 following, 2 unknown",
        "next: apply the first remedy, then run `bubble-sync doctor` again",
    ]


def test_a_terminal_gets_lines_that_fit_and_stay_indented(capsys: pytest.CaptureFixture[str], monkeypatch):
    for name, value in (("TTY_COMPATIBLE", "1"), ("FORCE_COLOR", "1"), ("NO_COLOR", "1"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)

    lines = shown(capsys, CAUSE)

    assert max(map(len, lines)) <= 90, "with the signs that make a line bold"
    assert [line.rstrip() for line in lines[3:5]] == [
        "  secret a: the key of a project that has been copied from another one and still",
        "  has the secrets of the one it came from",
    ]


def test_what_stops_everything_is_told_before_what_stops_some():
    ids = (
        "endpoint_failing",
        "items_exhausted",
        "job_missing",
        "request_partial",
        "secret_missing",
        "server_read_only",
    )
    found = explained([replace(CAUSE, id=one, object=f"{one} x") for one in ids])

    assert [one.id for one in found] == [
        "server_read_only", "job_missing", "secret_missing", "endpoint_failing", "request_partial", "items_exhausted",
    ]  # fmt: skip


def test_nothing_wrong_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert shown(capsys)[2:] == ["38 checks: no problem found"]
