"""What a screen of `watch` shows, and how its reader comes through what may go wrong."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from rich.console import Console

from bubble_sync.cli.reader import Reader
from bubble_sync.cli.render.watch_screen import drawn
from bubble_sync.compare.liveness import Liveness, LivenessVerdict
from bubble_sync.config.schedules import next_due
from bubble_sync.errors import Unreachable
from bubble_sync.health.doctor import Diagnosis, Finding
from bubble_sync.health.jobs import Job
from bubble_sync.health.status import Durations, QueueStats, Status, WatchSnapshot

NOW = datetime(2026, 11, 22, 4, 30, 10, tzinfo=UTC)
WORKS = Liveness(LivenessVerdict.LIKELY, "the last run succeeded")
FIGURES = QueueStats(3, NOW - timedelta(seconds=20), 0, 0, 1, 0, 0, 0, 5, 2, NOW)
HEALTHY = Diagnosis("prod", NOW, (), {}, 40)


def latest(*jobs: Job, **unknown: str) -> WatchSnapshot:
    return WatchSnapshot(Status("prod", NOW, (), FIGURES, (), jobs, (), None, WORKS, unknown), ())


def job(**changed: object) -> Job:
    given = {"schedule": "* * * * *", "active": True, "run": "succeeded", "run_at": NOW - timedelta(seconds=10)}
    return Job("processor", 1, **{**given, **changed})


def shown(
    found: WatchSnapshot, diagnosis: Diagnosis | None = HEALTHY, trouble: str = "", age: float = 0, width: int = 100
) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as said:
        console.print(drawn(found, diagnosis, trouble, age))
    return said.get()


class TestScreen:
    def test_the_countdown_goes_on_between_two_looks(self):
        assert "in 50 s" in shown(latest(job()))
        assert "in 20 s" in shown(latest(job()), age=30)
        assert "in 4 min" in shown(latest(job(schedule="*/5 * * * *")), age=40)

    def test_a_schedule_in_seconds_counts_down_from_its_newest_run_and_begins_anew(self):
        by_seconds = latest(job(schedule="30 seconds"))

        told = [shown(by_seconds, age=age) for age in (0, 5, 15, 19, 21)]
        assert ["in 20 s" in told[0], "in 15 s" in told[1], "in 5 s" in told[2], "in 1 s" in told[3]] == [True] * 4
        assert "in 29 s" in told[4]

    def test_a_job_without_a_tick_has_no_countdown(self):
        assert "in 50 s" not in shown(latest(job(active=False, problem="is not active")))
        assert "30 seconds" in shown(latest(job(schedule="30 seconds", run=None, run_at=None)))
        assert "every moon" in shown(latest(job(schedule="every moon")))
        assert "is not there" in shown(latest(Job("processor", problem="is not there")))

    def test_the_hours_durations_are_on_it_when_something_was_completed(self):
        found = latest(job())
        done, none = (
            replace(found, status=replace(found.status, took=took))
            for took in (Durations(12, 2.5, 4.25, 61), Durations(0, None, None, None))
        )

        assert "from insert to completed, last hour: 12 items, p50 2.500 s, p95 4.250 s, max 61 s" in shown(done)
        assert "from insert" not in shown(none)

    def test_what_is_old_says_how_old_it_is(self):
        said = shown(latest(job()), trouble="lost, trying again: nothing listens there", age=240)

        assert "lost, trying again: nothing listens there; what follows is 4 min old" in said
        assert "3 waiting (oldest 20 s)" in said

    def test_causes_are_shown_with_what_to_do_and_the_rest_is_counted(self):
        found = tuple(Finding(f"c{n}", "Job missing", "error", "job a", "e", "pulumi up") for n in range(9))
        said = shown(latest(), Diagnosis("prod", NOW, found, {"x": "why"}, 40))

        assert "findings at 11-22 04:30:10: 9, 1 check without an answer" in said
        assert said.count("do: pulumi up") == 6
        assert "and 3 more: `bubble-sync doctor`" in said

    @pytest.mark.parametrize("width", [1, 10, 40])
    def test_a_narrow_terminal_folds_it(self, width: int):
        said = shown(latest(job()), width=width)

        assert all(len(line) <= width for line in said.splitlines())
        assert "3waiting" in "".join(said.split())

    def test_what_is_unknown_is_said(self):
        said = shown(latest(items="w may not read public.sync_queue", requests="there is no table"), None)

        assert "unknown: items: w may not read public.sync_queue" in said
        assert "unknown: requests: there is no table" in said
        assert "the first examination is not done yet" in said


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * *", "04:31:00"),
        ("*/5 * * * *", "04:35:00"),
        ("30 seconds", "04:30:30"),
        ("1 seconds", "04:30:10"),
        ("nonsense", None),
    ],
)
def test_a_job_is_due_at_its_next_tick(schedule: str, due: str | None):
    found = next_due(schedule, NOW - timedelta(seconds=10), NOW)

    assert (f"{found:%H:%M:%S}" if found else None) == due


Seen = Reader[WatchSnapshot]


def once(look: Callable[[], WatchSnapshot]) -> Callable[[], Iterator[WatchSnapshot]]:
    def read() -> Iterator[WatchSnapshot]:
        yield look()

    return read


def started(look: Callable[[], WatchSnapshot], close: Callable[[], None] = lambda: None) -> Seen:
    reader = Reader(once(look), close, every=0.001)
    reader.start()
    assert reader.looked.wait(10)
    return reader


def unreachable() -> NoReturn:
    raise Unreachable("nothing listens there")


class TestReader:
    def test_what_it_saw_stays_when_the_server_goes_and_is_renewed_when_it_comes_back(self):
        turns = iter((latest(job()), None, None, latest()))
        came_back, done = threading.Event(), threading.Event()

        def look() -> WatchSnapshot:
            found = next(turns, "over")
            if found == "over":
                came_back.set()
                done.wait(10)
                return latest()
            return found or unreachable()

        reader = started(look)
        assert came_back.wait(10)

        assert reader.latest == latest()
        assert reader.trouble is None
        assert (reader.trouble_in_words, reader.outage_since) == ("", None)
        Reader(once(latest), lambda: None, every=60).take_over(reader)
        done.set()

    def test_a_server_that_was_never_there_is_an_error(self):
        reader = started(unreachable)

        with pytest.raises(Unreachable, match="nothing listens there"):
            reader.require()
        Reader(once(latest), lambda: None, every=60).take_over(reader)

    def test_a_bug_ends_it_and_is_not_lost(self):
        def look() -> NoReturn:
            raise KeyError("x")

        reader = started(look)
        reader.join(10)
        with pytest.raises(KeyError):
            reader.require()

    def test_one_that_hangs_is_replaced_by_one_that_knows_what_it_saw_and_ends_when_it_can(self):
        answers, hangs, closed = threading.Event(), threading.Event(), threading.Event()
        turns = iter((False, True))

        def look() -> WatchSnapshot:
            if next(turns):
                hangs.set()
                answers.wait(10)
            return latest(job())

        hanging = started(look, closed.set)
        assert hangs.wait(10)
        other = Reader(once(latest), lambda: None, every=60)
        other.take_over(hanging)

        assert other.latest == latest(job())
        answers.set()
        assert closed.wait(10)
