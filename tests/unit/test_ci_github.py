"""The comment and the issue, told to an emulator of GitHub's API."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bubble_sync.ci.comment import COMMENT_MARKER, NO_STACK_TOUCHED
from bubble_sync.ci.drift_issue import ISSUE_MARKER, ISSUE_TITLES
from bubble_sync.ci.github import LONGEST, fitting
from bubble_sync.cli import main
from tests.fixtures.github_emulator import OURS, TOKEN, GitHubEmulator

PULL = 7
SOMEBODY = "somebody"


def exit_of(*arguments: str) -> int:
    """Run a command of ours in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["bubble-sync", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
    return int(ended.value.code or 0)


@pytest.fixture
def report(github: GitHubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "report.md"
    monkeypatch.setenv("REPORT", str(file))
    monkeypatch.setenv("PULL_REQUEST", str(PULL))
    return file


@pytest.fixture
def comment(report: Path) -> Callable[[str], int]:
    def run(text: str) -> int:
        report.write_text(text)
        return exit_of("ci", "comment")

    return run


@pytest.fixture
def issue(report: Path) -> Callable[[int, str], int]:
    def run(code: int, text: str) -> int:
        report.write_text(text)
        report.with_name("report.md.exit").write_text(f"{code}\n")
        return exit_of("ci", "issue")

    return run


def test_a_pull_request_gets_one_comment_that_follows_the_report(
    comment: Callable[[str], int], github: GitHubEmulator
) -> None:
    assert [comment("first"), comment("second"), comment("second")] == [0, 0, 0]

    (only,) = github.comments[PULL]
    assert only["body"] == f"{COMMENT_MARKER}\nsecond\n"
    assert len(github.changes()) == 2, "what is up to date is left alone"


def test_the_comment_is_found_behind_other_pages(comment: Callable[[str], int], github: GitHubEmulator) -> None:
    for number in range(5):
        github.comment(PULL, f"talk {number}", SOMEBODY)
    ours = github.comment(PULL, f"{COMMENT_MARKER}\nold\n")

    assert comment("new") == 0
    assert "new" in ours["body"]
    assert len(github.comments[PULL]) == 6
    assert github.asked.count(f"GET /issues/{PULL}/comments") == 3


def test_somebody_elses_comment_with_our_marker_is_left_alone(
    comment: Callable[[str], int], github: GitHubEmulator
) -> None:
    theirs = github.comment(PULL, f"{COMMENT_MARKER}\nall is well, merge me\n", SOMEBODY)
    github.comment(PULL, f"I quote: {COMMENT_MARKER}", OURS)

    assert comment("2 differences") == 0
    assert "merge me" in theirs["body"]
    assert len(github.comments[PULL]) == 3
    assert "2 differences" in github.comments[PULL][-1]["body"]


def test_the_author_can_be_another_login(
    comment: Callable[[str], int], github: GitHubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORT_AUTHOR", "our-bot")
    ours = github.comment(PULL, f"{COMMENT_MARKER}\nold\n", "our-bot")

    assert comment("new") == 0
    assert "new" in ours["body"]


def test_an_empty_report_makes_no_comment_and_empties_the_one_that_is_there(
    comment: Callable[[str], int], github: GitHubEmulator
) -> None:
    assert comment("") == 0
    assert github.changes() == []

    comment("something")
    assert comment("") == 0
    assert NO_STACK_TOUCHED in github.comments[PULL][0]["body"]


def test_a_report_that_is_too_long_is_cut_and_closed(comment: Callable[[str], int], github: GitHubEmulator) -> None:
    body = "`" * 4 + "diff\n+ ```\n```\n<details>\n" + "+ a line of a body\n" * 6000
    assert comment(f"<details><summary>one</summary>\n\n</details>\n<details><summary>two</summary>\n\n{body}") == 0

    said = github.comments[PULL][0]["body"]
    assert LONGEST - 100 < len(said) < 65536
    assert said.endswith(
        "\n+ a line of a body\n````\n\n</details>\n\n**Cut here**: the run's log has the whole report.\n"
    )


def test_a_report_that_fits_is_not_touched() -> None:
    assert fitting("a\nb", 3) == "a\nb"
    assert fitting("a\nbc", 3).startswith("a\n\n**Cut here**")


def test_drift_opens_one_issue_keeps_it_up_to_date_and_closes_it_when_clean(
    issue: Callable[[int, str], int], github: GitHubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_URL", "https://github.example/runs/9")
    assert issue(0, "clean") == 0
    assert github.issues == []

    assert [issue(1, "prod: schedule"), issue(1, "prod: schedule"), issue(3, "staging: unreachable")] == [0, 0, 0]
    (only,) = github.open_issues()
    assert only["title"] == ISSUE_TITLES[3]
    assert only["body"] == f"{ISSUE_MARKER}\nstaging: unreachable\n"
    assert github.changes() == ["POST /issues", "PATCH /issues/1"]

    assert issue(0, "clean") == 0
    assert only["state"] == "closed"
    assert [each["body"] for each in github.comments[1]] == ["Clean again: https://github.example/runs/9."]

    assert issue(1, "prod: again") == 0
    assert [each["number"] for each in github.open_issues()] == [2]


def test_only_our_own_issue_is_taken_for_it_also_behind_other_pages(
    issue: Callable[[int, str], int], github: GitHubEmulator
) -> None:
    marked = f"{ISSUE_MARKER}\nold\n"
    theirs = github.issue("Drift?", marked, SOMEBODY)
    pull = github.issue("a branch", marked, pull_request={"url": "..."})
    github.issue("talk", "nothing", SOMEBODY)
    ours = github.issue("Drift", marked)

    assert issue(0, "clean") == 0
    assert [each["state"] for each in (theirs, pull, ours)] == ["open", "open", "closed"]


@pytest.mark.parametrize("code", [2, 4])
def test_a_drift_run_that_failed_itself_leaves_the_issue_as_it_is(
    code: int, issue: Callable[[int, str], int], github: GitHubEmulator, capfd: pytest.CaptureFixture[str]
) -> None:
    github.issue("Drift", f"{ISSUE_MARKER}\nold\n")

    assert issue(code, "") == 2
    assert github.asked == []
    assert f"failed with exit {code}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("status", "headers", "code", "said"),
    [
        (401, {}, 1, "GitHub refuses (401); GITHUB_TOKEN needs"),
        (403, {}, 1, "GitHub refuses (403); GITHUB_TOKEN needs"),
        (404, {}, 1, "GitHub refuses (404); GITHUB_TOKEN needs"),
        (403, {"X-RateLimit-Remaining": "0"}, 3, "limits the rate (403); run this again in 60 s"),
        (403, {"Retry-After": "17"}, 3, "limits the rate (403); run this again in 17 s"),
        (429, {"Retry-After": "17"}, 3, "limits the rate (429); run this again in 17 s"),
        (500, {}, 3, "GitHub is in trouble (500)"),
        (503, {}, 3, "GitHub is in trouble (503)"),
        (302, {"Location": "https://elsewhere.example/"}, 1, "GitHub answers 302"),
    ],
)
def test_a_refusal_is_one_line_without_the_token(
    status: int,
    headers: dict[str, str],
    code: int,
    said: str,
    comment: Callable[[str], int],
    issue: Callable[[int, str], int],
    github: GitHubEmulator,
    capfd: pytest.CaptureFixture[str],
) -> None:
    github.refusal = (status, headers)

    assert (comment("text"), issue(1, "text")) == (code, code)
    captured = capfd.readouterr()
    lines = captured.err.splitlines()
    assert [line.startswith("error: GET /issues") for line in lines] == [True, True]
    assert all(said in line for line in lines)
    assert TOKEN not in captured.out + captured.err
    assert len(github.asked) == 2, "a refusal is not tried again"


def test_an_unreachable_github_is_one_line(
    comment: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert comment("text") == 3
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GITHUB_TOKEN", "not set: GITHUB_TOKEN ("),
        ("GITHUB_REPOSITORY", "not set: GITHUB_REPOSITORY (owner/name). "),
        ("PULL_REQUEST", "missing option '--pull-request' (env var: 'PULL_REQUEST')"),
        ("REPORT", "missing option '--report' (env var: 'REPORT')"),
    ],
)
def test_a_missing_variable_is_named(
    name: str,
    said: str,
    comment: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, "")

    assert comment("text") == 2
    assert capfd.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_TOKEN", "a\nb"), ("GITHUB_TOKEN", "t\u00f6ken"), ("GITHUB_REPOSITORY", "a/\x1bb"),
        ("GITHUB_REPOSITORY", "alone"), ("GITHUB_API_URL", "http://[::1"), ("GITHUB_API_URL", "github.com"),
    ],
)  # fmt: skip
def test_a_variable_that_cannot_be_used_is_named_without_its_value(
    name: str,
    value: str,
    comment: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)

    assert comment("text") == 2
    told = capfd.readouterr().err
    assert (told.startswith(f"error: {name} cannot be used"), told.count("\n"), value in told) == (True, 1, False)


def test_an_exit_code_that_was_not_written_whole_is_said(report: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report.write_text("text")
    report.with_name("report.md.exit").touch()

    assert exit_of("ci", "issue") == 2
    assert capfd.readouterr().err == f"error: {report}.exit holds no exit code: run `bubble-sync ci drift` again\n"


def test_all_missing_variables_are_in_one_error(
    comment: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.delenv("GITHUB_REPOSITORY")

    assert comment("text") == 2
    assert capfd.readouterr().err.startswith("error: not set: GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN (")


def test_a_report_that_was_never_written_is_said(report: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert (exit_of("ci", "comment"), exit_of("ci", "issue")) == (2, 2)
    assert capfd.readouterr().err.count(f"error: {report} cannot be read (No such file or directory): run `bubble") == 2
