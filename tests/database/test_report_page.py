"""The page of the report as a browser shows it, and as who does not see it is told it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bubble_sync.cli.render.report_page import page
from bubble_sync.config.settings import read_settings
from bubble_sync.health.report import report
from tests.fixtures.browser import Browser
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, run, schedule
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, config, jwt

EMAIL = "ada@example.com"


@pytest.fixture
def written(prepared: Site, tmp_path: Path) -> Path:
    """A page about items, runs and requests of known moments."""
    schedule(prepared, PROCESSOR, RETRY)
    run(prepared, 1, RETRY, "40 s")
    run(prepared, 2, PROCESSOR, "30 s")
    # In parts of 20 minutes: the first two share one, the third is there in two, the failed one in the last three.
    for number, (came, went) in enumerate((("611 min", "610 min"), ("609 min", "608 min"), ("330 min", "310 min"))):
        item(prepared, came, record_id=f"c{number}", status="completed", processed=went)
    error = f"{EMAIL} refused {jwt()} <b>"
    item(prepared, "50 min", record_id="bad", status="failed", error_message=error, retry_count=3)
    for number, (ago, verdict) in enumerate(
        (("610 min", "ok"), ("609 min", "ok"), ("310 min", "ok"), ("30 s", "rejected"))
    ):
        dispatch(prepared, number, ago, verdict, status_code=200 if verdict == "ok" else 401)
    file = tmp_path / "report.html"
    file.write_text(page(report(prepared.db, read_settings(config()), "test", REF, timedelta(hours=24))))
    return file


def test_it_holds_no_key_and_no_email(written: Path):
    text = written.read_text()

    assert "[email] refused [secret] &lt;b&gt;" in text
    assert EMAIL not in text
    assert jwt() not in text


def test_a_browser_shows_it_without_a_request_or_a_complaint(written: Path, browser: Browser):
    for look in ({"width": 400}, {"width": 1600}, {"dark": True}, {"media": "print", "width": 760}):
        browser.open(written, **look)

        assert browser.requests == [written.as_uri()]
        assert browser.complaints == []
        assert browser.count("script") == 1
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "the page itself is not too wide"


def test_known_data_is_drawn_with_as_many_marks(written: Path, browser: Browser):
    browser.open(written)
    marks = {
        name: browser.count(f"section[aria-labelledby={name}] [role=img] .mark")
        for name in ("queue", "requests", "latency")
    }

    # Depth: one part, two parts, the last three. Requests: two parts with "ok", one with "rejected".
    assert marks == {"queue": 6, "requests": 3, "latency": 2}
    assert browser.count(".mark.rejected") == 1
    assert [browser.count(f"[role=img] .mark.{kind}") for kind in ("waiting", "failed")] == [3, 3]
    assert browser.run("[...document.querySelectorAll('.mark')].every(mark => mark.getBoundingClientRect().height > 0)")


def test_the_scheme_of_the_reader_is_taken(written: Path, browser: Browser):
    colours = []
    for look in ({}, {"dark": True}, {"dark": True, "media": "print"}):
        browser.open(written, **look)
        colours.append(browser.run("getComputedStyle(document.body).backgroundColor"))

    assert colours == ["rgb(255, 255, 255)", "rgb(13, 17, 23)", "rgb(255, 255, 255)"]


def test_who_does_not_see_it_is_told_all(written: Path, browser: Browser):
    browser.open(written)

    assert browser.names("heading")[:3] == ["Stack test", "Trouble", "Failed items"]
    assert [name.split(" 3 items")[0] for name in browser.names("image")] == [
        "Items that were not completed 4 items enqueued and 3 completed; 1 are there now, 1 of them failed, "
        "and at most 1 after " + browser.run("document.querySelector('#depth-desc').textContent.split('after ')[1]"),
        "Requests by verdict 3 ok, 1 rejected.",
        "From sign-up to completed 2 of 3 sign-ups took less than 75 s.",
    ]
    assert browser.count("table") == browser.count("caption")
    assert browser.count("th:not([scope])") == 0
    # Every drawing has its numbers in a table that the keyboard opens.
    assert browser.count("section:has(svg)") == browser.count("section:has(svg) details table") == 3
    browser.run("document.querySelector('#queue').closest('section').querySelector('summary').focus()")
    browser.press("Enter")
    assert browser.count("details[open]") == 1


def test_each_command_has_a_button_that_copies_it_whole_from_a_file_too(written: Path, browser: Browser):
    browser.open(written)
    commands = browser.run("[...document.querySelectorAll('.command')].map(one => one.textContent)")
    buttons = [name.removeprefix("Copy: ") for name in browser.names("button")]
    assert commands == buttons != []

    browser.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.run("document.querySelector('button.copy').focus()")
    browser.press("Enter")
    browser.wait_for("document.querySelector('[role=status]').textContent === 'Copied'")
    assert browser.run("navigator.clipboard.readText()") == commands[0]


def test_without_the_script_every_command_is_there_as_text(written: Path, browser: Browser):
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(written)
        assert browser.count("button") == 0
        assert browser.count(".command") > 0
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_a_page_that_asks_or_complains_would_have_been_seen(browser: Browser, tmp_path: Path):
    file = tmp_path / "loud.html"
    file.write_text('<img src="http://127.0.0.1:1/a.png"><script>console.error("no")</script>')
    browser.open(file)
    assert browser.count("img") == 1

    assert browser.requests == [file.as_uri(), "http://127.0.0.1:1/a.png"]
    assert len(browser.complaints) == 2
